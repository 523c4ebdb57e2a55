"""Every shipped recipe runs, repeats, has a summary, and makes images that a network can take."""

from pathlib import Path

import numpy as np
import pytest
import torch

from diffir.degradations.recipe_file import shipped_recipes
from diffir.degradations.recipes import load_recipe
from diffir.image_io import read_image

SAMPLES = Path(__file__).resolve().parents[2] / "datasets" / "samples" / "clean"
SCALES = {
    "bicubic_x2": 2,
    "bicubic_x3": 3,
    "bicubic_x4": 4,
    "realesrgan": 4,
    "realesrgan_x2": 2,
    "bsr": 4,
    "bsr_light": 4,
}


def seeded(seed):
    return torch.Generator().manual_seed(seed)


@pytest.fixture(scope="module")
def photo():
    pixels = read_image(SAMPLES / "parrots.png").pixels[96:192, 96:192]
    return torch.from_numpy(pixels.astype(np.float32) / 255).permute(2, 0, 1)[None]


@pytest.mark.parametrize("name", shipped_recipes())
def test_a_recipe_runs_repeats_and_has_a_summary(name, photo):
    recipe = load_recipe(name)

    first, again, other = (recipe(photo, seeded(seed)) for seed in (1, 1, 2))

    scale = SCALES.get(name, 1)
    assert recipe.scale == scale and recipe.channels == (4 if name.startswith("inpaint") else 3)
    assert first.shape == (1, recipe.channels, 96 // scale, 96 // scale) and first.isfinite().all()
    assert torch.equal(first, again)
    assert not torch.equal(first, other) or name.startswith("bicubic")
    assert 10 < len(recipe.summary) < 140


def test_realesrgan_has_the_published_figures():
    blur, resize, noise, jpeg, blur2, resize2, noise2, _, end, _ = load_recipe("realesrgan").steps

    back, sinc = end.steps[0].steps
    kinds = [0.45, 0.25, 0.12, 0.03, 0.12, 0.03]
    assert [blur.weights, blur2.step.weights, blur2.prob, sinc.prob] == [(0.1, 0.9), (0.1, 0.9), 0.8, 0.8]
    assert [list(step.kinds.values()) for step in (blur.steps[1], blur2.step.steps[1])] == [kinds, kinds]
    assert [step.sigma for step in (blur.steps[1], blur2.step.steps[1])] == [(0.2, 3), (0.2, 1.5)]
    assert (resize.scale, resize.up_down_keep) == ((0.15, 1.5), (0.2, 0.7, 0.1))
    assert (resize2.times, resize2.up_down_keep, resize2.scale, back.scale) == ((0.3, 1.2), (0.3, 0.4, 0.3), 4, 4)
    assert [(a.sigma, b.scale) for a, b in (noise.steps, noise2.steps)] == [
        ((1, 30), (0.05, 3)),
        ((1, 25), (0.05, 2.5)),
    ]
    assert {step.gray_prob for step in (*noise.steps, *noise2.steps)} == {0.4}
    assert jpeg.quality == end.steps[1].quality == (30, 95)


def test_realesrgan_for_other_scales_is_the_same_but_for_the_size_of_lq():
    for scale, name in ((2, "realesrgan_x2"), (1, "realesrgan_x1")):
        steps = load_recipe(name).steps[0].steps

        assert [step.scale for step in (steps[5], steps[8].steps[0].steps[0])] == [scale, scale]
        assert steps[:5] == load_recipe("realesrgan").steps[:5]


@pytest.mark.parametrize("name", sorted(set(shipped_recipes()) - {"gaussian_noise"}))
def test_all_but_benchmark_noise_end_on_8_bit_levels(name, photo):
    lq = load_recipe(name)(photo, seeded(3))[:, :3] * 255

    assert lq.min() >= 0 and lq.max() <= 255
    assert torch.allclose(lq, lq.round(), atol=1e-4) or name.startswith("inpaint")


@pytest.mark.gpu
@pytest.mark.parametrize("name", shipped_recipes())
def test_a_gpu_makes_the_same_image(name, photo):
    here, there = (load_recipe(name)(photo.to(device), seeded(4)).cpu() for device in ("cpu", "cuda"))

    assert (here - there).abs().mean() < 2e-3  # a rounded level more or less, which JPEG may spread
