"""Camera paths have the given length, are straight without turns, and are reversed by impulses."""

import numpy as np
import pytest

from diffir.degradations.shapes.camera_path import camera_path


def path(length=20.0, turns=2.0, impulses=0.0, seed=0):
    return camera_path(length, turns, impulses, np.random.default_rng(seed))


@pytest.mark.parametrize("length", [0.0, 0.3, 7.0, 40.5])
@pytest.mark.parametrize("impulses", [0.0, 5.0])
def test_a_path_has_the_given_length(length, impulses):
    assert np.abs(np.diff(path(length, impulses=impulses))).sum() == pytest.approx(length)


def test_the_camera_never_jumps_over_a_pixel():
    assert np.abs(np.diff(path(37.0))).max() < 0.5


def test_without_turns_a_path_is_a_straight_line():
    straight = path(turns=0.0)

    assert abs(straight[-1] - straight[0]) == pytest.approx(20)


def test_the_more_it_turns_the_less_far_it_gets():
    def reach(turns):
        return np.mean([abs(path(turns=turns, seed=seed)[-1]) for seed in range(200)])

    assert reach(0.5) > reach(2) > reach(6)


def test_the_direction_drifts_by_the_given_deviation():
    def drift(seed):
        steps = np.angle(np.diff(path(turns=1.0, seed=seed)))
        return np.unwrap(steps)[-1] - steps[0]

    assert np.std([drift(seed) for seed in range(500)]) == pytest.approx(1.0, rel=0.1)


def test_impulses_reverse_the_camera_as_often_as_given():
    def rebounds(seed):
        steps = np.diff(path(turns=0.0, impulses=2.0, seed=seed))
        return (np.abs(np.angle(steps[1:] / steps[:-1])) > 2).sum()

    assert np.mean([rebounds(seed) for seed in range(300)]) == pytest.approx(2.0, rel=0.15)
