"""BSRGAN's degradation: the steps it needs, the figures of its two recipes, and what these do to a photo."""

from collections import Counter
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from diffir.degradations.draw import Draw
from diffir.degradations.recipes import build_recipe, load_recipe
from diffir.degradations.steps import Shuffled
from diffir.errors import ConfigError
from diffir.image_io import read_image

SAMPLES = Path(__file__).resolve().parents[2] / "datasets" / "samples" / "clean"
RECIPES = ["bsr", "bsr_light"]


def seeded(seed=0):
    return torch.Generator().manual_seed(seed)


def step(**values):
    return build_recipe([values]).steps[0]


@dataclass(frozen=True)
class Noting:
    """A step that only writes its name down."""

    name: str
    notes: list

    def __call__(self, image, draw):
        self.notes.append(self.name)
        return image


def test_shuffled_steps_in_order_keep_it_and_all_such_orders_are_equally_likely():
    notes: list[str] = []
    shuffled = Shuffled(tuple(Noting(name, notes) for name in "abc"), in_order=(3, 1))

    for seed in range(900):
        shuffled(torch.zeros(1), Draw(seeded(seed), (8, 8)))

    orders = Counter("".join(notes[start : start + 3]) for start in range(0, 2700, 3))
    assert set(orders) == {"bca", "cba", "cab"}
    assert all(250 < count < 350 for count in orders.values())


@pytest.mark.parametrize("numbers", [[1, 1], [0, 1], [1, 3]], ids=str)
def test_in_order_takes_numbers_of_steps_only(numbers):
    with pytest.raises(ConfigError, match=r"step 1 \(shuffled\): in_order must be different numbers .* from 1 to 2"):
        build_recipe([{"type": "shuffled", "in_order": numbers, "steps": [{"type": "clip"}, {"type": "clip"}]}])


@pytest.mark.parametrize(("even_in", "mean"), [("sigma", 1 / 3), ("variance", 1 / 2)])
def test_a_blur_even_in_variance_draws_wide_kernels_more_often(even_in, mean):
    blur = step(type="blur", kernel_size=[11, 11], sigma=[0.05, 1], kinds={"aniso": 1}, even_in=even_in)
    point = F.pad(torch.ones(1, 1, 1, 1), (5, 5, 5, 5))
    squares = (torch.arange(11.0) - 5) ** 2

    draws = [blur(point, Draw(seeded(seed), (11, 11)))[0, 0] for seed in range(300)]

    # A turned kernel's variances along x and y add up to those along its axes.
    variances = [((k.sum(0) * squares).sum() + (k.sum(1) * squares).sum()).item() / 2 for k in draws]
    assert np.mean(variances) == pytest.approx(mean, abs=0.05)


@pytest.mark.parametrize(("even_in", "mean"), [("factor", 90.0), ("inverse", 160 * np.log(8) / 7)])
def test_a_resize_even_in_the_inverse_draws_small_images_more_often(even_in, mean):
    resize = step(type="resize", scale=[0.125, 1], up_down_keep=[0, 1, 0], even_in=even_in)
    image = torch.zeros(1, 1, 160, 8)

    rows = [resize(image, Draw(seeded(seed), (160, 8))).shape[2] for seed in range(400)]

    assert 20 <= min(rows) < 24 and 130 < max(rows) <= 160
    assert np.mean(rows) == pytest.approx(mean, abs=6)


@pytest.mark.parametrize("scale", [1, 2, 3, 4])
def test_decimation_takes_the_middle_of_each_complete_block(scale):
    ramp = torch.arange(50.0, dtype=torch.float64).view(1, 1, 1, 50).expand(1, 3, 46, 50)

    small = step(type="decimate", scale=scale, sigma=[0.1, 1.2])(ramp, Draw(seeded(), (46, 50)))

    middles = torch.arange(50 // scale) * scale + (scale - 1) / 2
    assert small.shape == (1, 3, 46 // scale, 50 // scale)
    assert torch.allclose(small[0, 0, 5, 4:-4], middles[4:-4].double(), atol=1e-6)


def test_decimation_by_2_without_blur_is_the_mean_of_four_pixels():
    image = torch.rand(1, 3, 9, 12, generator=seeded())

    small = step(type="decimate", scale=2, sigma=[0, 0])(image, Draw(seeded(), (9, 12)))

    assert torch.allclose(small, F.avg_pool2d(image, 2), atol=1e-6)


@pytest.mark.parametrize("size", [(1, 1), (2, 7), (3, 3)], ids=str)
def test_decimation_leaves_at_least_one_pixel(size):
    small = step(type="decimate", scale=4, sigma=[1, 2])(torch.ones(1, 3, *size), Draw(seeded(), size))

    assert torch.allclose(small, torch.ones(1, 3, 1, max(1, size[1] // 4)))


@pytest.mark.parametrize(
    ("name", "blurs", "kernels", "widths", "noise", "jpeg"),
    [
        ("bsr", 2, [(7, 25), (7, 25)], 1, (2, 25), (30, 95)),
        ("bsr_light", 1, [(5, 13), (5, 7)], 1 / 4, (1, 2), (80, 95)),
    ],
)
def test_the_recipes_have_the_published_figures(name, blurs, kernels, widths, noise, jpeg):
    split, last = load_recipe(name).steps

    assert (split.weights, last.quality) == ((0.75, 0.25), jpeg)
    full, (halved, half) = split.steps[0], split.steps[1].steps
    assert halved.scale == 2
    for scale, branch in ((4, full), (2, half)):  # after halving, the figures are those of x2
        *blur, shrink, back, grain, middle = branch.steps
        aniso, iso = blur[0].steps
        assert branch.in_order == (blurs + 1, blurs + 2) and len(blur) == blurs and blur == blurs * [blur[0]]
        assert [aniso.kernel_size, iso.kernel_size] == kernels
        assert (list(aniso.kinds), aniso.even_in, list(iso.kinds), iso.even_in) == (
            ["aniso"], "variance", ["iso"], "sigma",
        )  # fmt: skip
        assert aniso.sigma[1] ** 2 == pytest.approx((4 + scale) * widths, abs=1e-3)
        assert iso.sigma[1] == pytest.approx((2 + 0.2 * scale) * widths)
        resize, decimate = shrink.steps
        assert (shrink.weights, resize.scale, resize.even_in) == ((0.8, 0.2), (1 / (2 * scale), 1), "inverse")
        assert resize.up_down_keep == (0, 1, 0)
        assert (decimate.scale, decimate.sigma[1], back.scale) == (scale, pytest.approx(0.6 * scale), 4)
        assert (grain.sigma, middle.prob, middle.step.quality) == (noise, 0.9, jpeg)


@pytest.mark.parametrize("name", RECIPES)
def test_every_draw_has_a_quarter_of_the_sides_rounded_down(name):
    image = torch.rand(1, 3, 50, 61, generator=seeded())
    recipe = load_recipe(name)

    assert {tuple(recipe(image, seeded(seed)).shape) for seed in range(30)} == {(1, 3, 12, 15)}


def test_neither_recipe_moves_the_photo_and_the_light_one_stays_closer_to_it():
    pixels = read_image(SAMPLES / "parrots.png").pixels[96:288, 96:288]
    photo = torch.from_numpy(pixels.astype(np.float32) / 255).permute(2, 0, 1)[None]
    small = F.avg_pool2d(photo, 4)

    batch = photo.expand(12, -1, -1, -1)
    errors = {name: (load_recipe(name)(batch, seeded(5)) - small).square().mean().item() for name in RECIPES}

    mean = load_recipe("bsr_light")(batch, seeded(6)).mean(0)
    shifted = [
        (mean - small[0].roll(shift, (1, 2))).square().mean() for shift in ((0, 0), (1, 0), (0, 1), (-1, 0), (0, -1))
    ]
    assert errors["bsr_light"] < errors["bsr"] / 1.5
    assert min(shifted) == shifted[0]
