"""Steps that change the size reach the given size with the given filter."""

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from diffir.degradations.recipes import build_recipe
from diffir.degradations.resize import imresize
from diffir.errors import ConfigError

IMAGE = torch.rand(1, 3, 48, 60, generator=torch.Generator().manual_seed(7))


def seeded(seed=0):
    return torch.Generator().manual_seed(seed)


def sizes_of(seeds=40, **step):
    recipe = build_recipe([step])
    return [tuple(recipe(IMAGE, seeded(seed)).shape[2:]) for seed in range(seeds)]


@pytest.mark.parametrize("weights", [[1, 0, 0], [0, 1, 0], [0, 0, 1]], ids=["up", "down", "keep"])
def test_a_case_of_weight_zero_never_happens(weights):
    rows = {size[0] for size in sizes_of(type="resize", scale=[0.5, 1.5], up_down_keep=weights)}

    low, high = [(48, 72), (24, 48), (48, 48)][weights.index(1)]
    assert low <= min(rows) and max(rows) <= high
    assert len(rows) > 10 or weights[2]


@pytest.mark.parametrize("scale", [1, 2, 4])
def test_resize_back_ends_at_the_clean_size_over_the_scale(scale):
    steps = [{"type": "resize", "scale": [0.2, 2]}, {"type": "resize_back", "scale": scale}]

    assert build_recipe(steps)(IMAGE.expand(3, -1, -1, -1), seeded()).shape == (3, 3, 48 // scale, 60 // scale)


def test_resize_back_times_a_factor_starts_from_the_size_of_lq_not_of_the_image():
    sizes = sizes_of(type="resize_back", scale=4, times=[0.5, 1.5], up_down_keep=[1, 1, 1])

    rows = [size[0] for size in sizes]
    assert 6 <= min(rows) < 12 < max(rows) <= 18 and 12 in rows


@pytest.mark.parametrize("mode", ["area", "bilinear", "bicubic"])
def test_a_mode_is_torchs_filter_of_that_name(mode):
    result = build_recipe([{"type": "resize_back", "scale": 3, "modes": [mode]}])(IMAGE, seeded())

    assert torch.equal(result, F.interpolate(IMAGE, (16, 20), mode=mode))


def test_matlabs_bicubic_in_8_bits_is_that_of_a_file():
    pixels = (IMAGE[0].permute(1, 2, 0).numpy() * 255).round().astype(np.uint8)
    step = {"type": "matlab_bicubic", "scale": 4, "eight_bit": True}

    result = build_recipe([step])(torch.from_numpy(pixels).permute(2, 0, 1)[None] / 255, seeded())

    assert np.array_equal((result[0] * 255).round().permute(1, 2, 0).numpy(), imresize(pixels, 1 / 4))


def test_matlabs_bicubic_in_floats_is_not_rounded():
    result = build_recipe([{"type": "matlab_bicubic", "scale": 2}])(IMAGE, seeded())

    assert np.allclose(result[0].permute(1, 2, 0), imresize(IMAGE[0].permute(1, 2, 0).numpy(), 1 / 2))


@pytest.mark.parametrize(
    ("step", "message"),
    [
        ({"type": "resize", "scale": [0.2, 0.8]}, "scale must be a range around 1"),
        ({"type": "resize", "scale": [0.5, 1.5], "up_down_keep": [0, 0, 0]}, "one number above 0"),
        ({"type": "resize", "scale": [0.5, 1.5], "up_down_keep": [float("nan"), 0, 1]}, "numbers of 0 or more"),
        ({"type": "resize", "scale": [0.5, 1.5], "modes": []}, "modes must name at least one"),
        ({"type": "resize", "scale": [0.5, 1.5], "modes": ["cubic"]}, "'cubic' is not one of area"),
        ({"type": "resize_back", "scale": 0}, "scale must be 1 or more"),
        ({"type": "resize_back", "times": [2, 3]}, "times must be a range around 1"),
        ({"type": "matlab_bicubic", "scale": -4}, "scale must be 1 or more"),
    ],
)
def test_an_impossible_size_is_an_error_of_one_line(step, message):
    with pytest.raises(ConfigError, match=message):
        build_recipe([step])
