"""Blur steps: their effect on a photo, in linear light and at its border."""

import math

import numpy as np
import pytest
import torch

from diffir.degradations.blur import draw_kernel_size
from diffir.degradations.draw import Draw
from diffir.degradations.recipes import build_recipe
from diffir.degradations.shapes.convolution import filter2d, filter_separable, gaussian_weights, mirror_pad
from diffir.errors import ConfigError


def seeded(seed=0):
    return torch.Generator().manual_seed(seed)


def blurred(image, seed=0, **step):
    return build_recipe([step])(image, seeded(seed))


def point(side=65, value=1.0):
    image = torch.zeros(1, 3, side, side)
    image[:, :, side // 2, side // 2] = value
    return image


BLURS = [
    {"type": "blur", "sigma": [1, 3]},
    {"type": "sinc_blur"},
    {"type": "motion_blur", "length": [5, 15]},
    {"type": "defocus_blur", "radius": [1, 6], "blades": [0, 5]},
]


@pytest.mark.parametrize("step", BLURS, ids=lambda step: step["type"])
def test_a_flat_image_stays_as_it_is(step):
    flat = torch.full((1, 3, 20, 17), 0.3)

    assert torch.allclose(blurred(flat, **step), flat, atol=1e-5)


@pytest.mark.parametrize("step", BLURS, ids=lambda step: step["type"])
def test_a_blur_neither_moves_the_photo_nor_mixes_its_colours(step):
    blur = blurred(point() * torch.tensor([1.0, 0.5, 0.0])[None, :, None, None], **step, **linear(step, False))

    weights = blur[0, 0] / blur[0, 0].sum()
    axis = torch.arange(65.0) - 32
    assert abs((weights.sum(0) * axis).sum()) < 0.01 and abs((weights.sum(1) * axis).sum()) < 0.01
    assert torch.allclose(blur[0, 1], 0.5 * blur[0, 0], atol=1e-6)
    assert blur[0, 2].abs().max() < 1e-6


def linear(step, value):
    return {"linear_light": value} if step["type"] in ("motion_blur", "defocus_blur") else {}


def test_lamps_out_of_focus_are_discs_as_bright_as_their_light():
    lamp = torch.zeros(1, 3, 41, 41)
    lamp[:, :, 18:23, 18:23] = 1.0
    step = {"type": "defocus_blur", "radius": [5, 5], "softness": [1, 1]}

    share = 25 / (math.pi * 25)  # of the disc's light in its middle
    assert blurred(lamp, **step)[0, 0, 20, 20].item() == pytest.approx(1.055 * share ** (1 / 2.4) - 0.055, abs=0.02)
    assert blurred(lamp, **step, linear_light=False)[0, 0, 20, 20].item() == pytest.approx(share, abs=0.02)


def test_a_straight_motion_blurs_a_line_and_nothing_across_it():
    blur = blurred(point(), type="motion_blur", length=[20, 20], straight_prob=1, linear_light=False)[0, 0]

    rows, columns = torch.nonzero(blur > 1e-4, as_tuple=True)
    spread = torch.linalg.eigvalsh(torch.cov(torch.stack([rows, columns]).double()))
    assert spread[0] < 0.6 and spread[1] > 25


@pytest.mark.parametrize("size", [(3, 3), (9, 9), (13, 13), (31, 17), (1, 25)], ids=str)
def test_convolution_is_the_sum_over_mirrored_neighbours(size):
    image = torch.rand(1, 2, 12, 10, generator=seeded(), dtype=torch.float64)
    kernel = np.random.default_rng(0).random(size)

    result = filter2d(image, kernel)

    padded = np.pad(image.numpy(), [(0, 0), (0, 0), *((side // 2, side // 2) for side in size)], mode="reflect")
    windows = np.lib.stride_tricks.sliding_window_view(padded, size, axis=(2, 3))
    assert np.allclose(result.numpy(), (windows * kernel[::-1, ::-1]).sum((-2, -1)))


def test_a_separable_filter_is_the_product_of_its_rows():
    image, weights = torch.rand(1, 3, 20, 20, generator=seeded(), dtype=torch.float64), gaussian_weights(1.4)

    assert torch.allclose(filter_separable(image, weights), filter2d(image, np.outer(weights, weights)))


def test_the_mirror_goes_on_however_small_the_image():
    row = torch.tensor([1.0, 2, 3]).view(1, 1, 1, 3)

    assert mirror_pad(row, 2, 4)[0, 0, 0].tolist() == [1, 2, 3, 2, 1, 2, 3, 2, 1, 2, 3]


def test_every_odd_size_and_every_kind_of_kernel_is_drawn():
    draw = Draw(seeded(), (8, 8))

    assert {draw_kernel_size((7, 13), draw) for _ in range(100)} == {7, 9, 11, 13}


@pytest.mark.parametrize(("size", "lowest"), [(7, 1 / 3), (11, 1 / 3), (13, 1 / 5), (21, 1 / 5)])
def test_small_sinc_kernels_cut_off_from_a_third_and_large_ones_from_a_fifth(size, lowest):
    step = {"type": "sinc_blur", "kernel_size": [size, size]}

    assert torch.equal(blurred(point(), **step), blurred(point(), **step, cutoff=[lowest, 1]))


@pytest.mark.parametrize(
    ("step", "message"),
    [
        ({"type": "blur", "sigma": [0, 1]}, "sigma must be .low, high. with 0.05 <="),
        ({"type": "blur", "sigma": [1, float("inf")]}, "sigma must be"),
        ({"type": "blur", "sigma": [1, 2], "kernel_size": [6, 9]}, "two odd numbers"),
        ({"type": "blur", "sigma": [1, 2], "kinds": {"round": 1}}, "kinds must be some of iso, .* got round"),
        ({"type": "blur", "sigma": [1, 2], "kinds": {}}, "got none"),
        ({"type": "blur", "sigma": [1, 2], "kinds": {"iso": "much"}}, "weights of kinds must be numbers"),
        ({"type": "blur", "sigma": [1, 2], "kinds": {"iso": 0}}, "one number above 0"),
        ({"type": "sinc_blur", "cutoff": [0.5, 2]}, "cutoff must be"),
        ({"type": "motion_blur", "length": [9, 5]}, "length must be"),
        ({"type": "motion_blur", "length": [5, 9], "straight_prob": 2}, "straight_prob must lie in"),
        ({"type": "defocus_blur", "radius": [1, 2], "blades": [2]}, "blades must be 0"),
        ({"type": "defocus_blur", "radius": [1, 2], "blades": []}, "blades must name at least one"),
    ],
)
def test_an_impossible_blur_is_an_error_of_one_line(step, message):
    with pytest.raises(ConfigError, match=message):
        build_recipe([step])
