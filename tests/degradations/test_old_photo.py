"""Old prints: faded dyes, stains, scratches, dust and folds."""

import numpy as np
import pytest
import torch

from diffir.degradations.draw import Draw
from diffir.degradations.old_photo import DEEPEST, Fading, Stains
from diffir.degradations.shapes.surface_paint import Canvas, ragged
from diffir.degradations.surface_damage import Dust, Folds, Scratches
from diffir.errors import ConfigError

NOTHING = {"sepia": (0, 0), "yellow": (0, 0), "vignette": (0, 0), "unevenness": (0, 0), "dye": 0}


def drawn(seed=0):
    return Draw(torch.Generator().manual_seed(seed), (64, 64))


def grey(value):
    return torch.full((1, 3, 64, 64), value)


def photo():
    return torch.rand(1, 3, 64, 64, generator=torch.Generator().manual_seed(9))


def test_a_print_that_kept_all_density_shows_the_photo():
    image = photo().clamp(min=DEEPEST)

    assert torch.allclose(Fading(density=(1, 1), monochrome_prob=0, **NOTHING)(image, drawn()), image)


def test_half_the_density_is_the_root_of_the_brightness():
    faded = Fading(density=(0.5, 0.5), monochrome_prob=0, **NOTHING)(grey(0.36), drawn())

    assert torch.allclose(faded, grey(0.6))


def test_a_silver_print_without_toning_is_grey():
    faded = Fading(monochrome_prob=1, **NOTHING)(photo(), drawn())

    assert torch.allclose(faded, faded[:, :1].expand(1, 3, -1, -1), atol=1e-6)


@pytest.mark.parametrize("change", [{"sepia": (1, 1)}, {"yellow": (0.5, 0.5)}])
def test_sepia_and_old_paper_keep_red_most_and_blue_least(change):
    red, green, blue = Fading(monochrome_prob=1, **NOTHING | change)(grey(0.4), drawn()).mean(dim=(0, 2, 3)).tolist()

    assert red > green > blue


def test_a_vignette_darkens_the_corners_alone():
    faded = Fading(density=(1, 1), monochrome_prob=0, **NOTHING | {"vignette": (0.3, 0.3)})(grey(0.5), drawn())

    assert faded[0, 0, 0, 0].item() == pytest.approx(0.35, abs=1e-3)
    assert faded[0, 0, 32, 32].item() == pytest.approx(0.5, abs=1e-3)


@pytest.mark.parametrize("share", [0.1, 0.4])
def test_stains_cover_the_given_share_and_only_darken(share):
    step = Stains(coverage=(share, share))

    thickness, stained = step.thickness((64, 64), drawn()), step(photo(), drawn())

    assert (thickness > 0).float().mean().item() == pytest.approx(share, abs=0.02)
    assert (stained <= photo() + 1e-6).all()


@pytest.mark.parametrize("step", [Scratches(count=(5, 5)), Dust(specks=(30, 30)), Folds(count=(2, 2))], ids=repr)
@pytest.mark.parametrize("seed", range(3))
def test_marks_change_a_small_part_and_lie_between_black_and_white(step, seed):
    marked = step(grey(0.5), drawn(seed))
    changed = (marked != 0.5).float().mean()

    assert 0 < changed < 0.5
    assert marked.min() >= 0 and marked.max() <= 1


@pytest.mark.parametrize(
    "step",
    [Scratches(count=(0, 0)), Dust(specks=(0, 0), hairs=(0, 0)), Folds(count=(0, 0)), Scratches(opacity=(0, 0))],
    ids=repr,
)
def test_no_marks_leave_the_photo_as_it_is(step):
    assert torch.equal(step(photo(), drawn()), photo())


@pytest.mark.parametrize(("dark_prob", "sign"), [(0, 1), (1, -1)])
def test_scratches_are_dark_with_the_given_probability(dark_prob, sign):
    change = Scratches(count=(8, 8), dark_prob=dark_prob)(grey(0.5), drawn()) - 0.5

    assert (sign * change >= 0).all() and change.any()


@pytest.mark.parametrize("width", [1, 2, 3, 6])
def test_a_line_has_the_given_width(width):
    canvas = Canvas((40, 40))
    canvas.line(np.array([[-5.0, 20.0], [45.0, 20.0]]), width, np.ones(1), is_dark=True)

    painted = 1 - canvas.over(torch.ones(1, 3, 40, 40), np.random.default_rng(0))
    across = (painted / painted.max())[0, 0].sum(dim=1)

    assert across[20].item() == pytest.approx(width, abs=0.5)


def test_a_ragged_path_begins_and_ends_where_it_should():
    start, end = np.array([1.0, 2.0]), np.array([30.0, 40.0])

    path = ragged(start, end, 0.05, np.random.default_rng(0))
    straight = np.linspace(start, end, len(path))

    assert (path[0] == start).all() and (path[-1] == end).all()
    assert 0 < np.hypot(*(path - straight).T).max() < 15


@pytest.mark.parametrize(
    ("cls", "settings", "named"),
    [
        (Fading, {"density": (0, 1)}, "density"),
        (Fading, {"monochrome_prob": 2}, "monochrome_prob"),
        (Stains, {"strength": (0, 1)}, "strength"),
        (Scratches, {"width": (0, 1)}, "width"),
        (Dust, {"hairs": (3, 1)}, "hairs"),
        (Folds, {"opacity": (0.5, 2)}, "opacity"),
    ],
)
def test_a_value_out_of_range_is_refused_by_name(cls, settings, named):
    with pytest.raises(ConfigError, match=f"^{named} must"):
        cls(**settings)
