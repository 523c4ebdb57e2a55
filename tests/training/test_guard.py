"""What validation's scores mean for a run."""

import math

import pytest

from diffir.training.guard import Guard


def verdicts(guard: Guard, *scores: float) -> list[str]:
    return [guard.judge(score, step) for step, score in enumerate(scores)]


def test_a_run_that_gets_better_is_left_alone():
    assert verdicts(Guard(margin=1.0, patience=2), 28.0, 28.5, 29.0) == ["better"] * 3


def test_a_small_fall_is_forgiven_and_a_large_one_is_a_collapse():
    guard = Guard(margin=1.0, patience=0)

    assert verdicts(guard, 28.0, 27.5, 26.5, math.nan) == ["better", "stale", "collapsed", "collapsed"]
    assert guard.lr_scale == 0.25


def test_without_a_margin_any_fall_is_forgiven():
    assert verdicts(Guard(margin=0.0, patience=0), 28.0, 3.0) == ["better", "stale"]


def test_a_run_that_stays_no_better_is_stopped():
    guard = Guard(margin=0.0, patience=2)

    told = [(guard.judge(score, step), guard.is_exhausted) for step, score in enumerate((28.0, 27.9, 27.8))]

    assert told == [("better", False), ("stale", False), ("stale", True)]


def test_patience_begins_anew_with_every_better_score():
    guard = Guard(margin=0.0, patience=2)

    exhausted = [(guard.judge(score, step), guard.is_exhausted)[1] for step, score in enumerate((28, 27, 29, 28, 28))]

    assert exhausted == [False, False, False, False, True]


@pytest.mark.parametrize("broken", [math.nan, math.inf])
def test_a_first_score_that_is_no_number_is_not_the_best_for_ever(broken):
    guard = Guard(margin=1.0, patience=0)

    assert verdicts(guard, broken, 31.0, 32.0) == ["stale", "better", "better"]
    assert guard.lr_scale == 1.0


def test_a_metric_of_which_less_is_better_is_judged_the_other_way():
    guard = Guard(margin=0.1, patience=0, higher_is_better=False)

    assert verdicts(guard, 0.3, 0.2, 0.25, 0.4) == ["better", "better", "stale", "collapsed"]
    assert (guard.best, guard.best_step) == (0.2, 1)


def test_a_resumed_guard_remembers_what_it_saw():
    first = Guard(margin=1.0, patience=3)
    verdicts(first, 28.0, 20.0)
    second = Guard(margin=1.0, patience=3)

    second.load_state_dict(first.state_dict())

    assert second == first
    assert second.lr_scale == pytest.approx(0.5)
