"""Unsharp masking makes edges stronger, but not flat areas and their noise."""

import math

import pytest
import torch

from diffir.degradations.recipes import build_recipe
from diffir.errors import ConfigError


def sharpened(image, **settings):
    return build_recipe([{"type": "usm_sharpen", **settings}])(image, torch.Generator().manual_seed(0))


def edge():
    image = torch.full((1, 3, 64, 64), 0.3)
    image[..., 32:] = 0.6
    return image


def test_an_edge_overshoots_and_far_from_it_nothing_changes():
    result = sharpened(edge(), radius=15)

    assert result[..., 32].mean() > 0.62 and result[..., 31].mean() < 0.28
    assert torch.allclose(result[..., 0:8], edge()[..., 0:8], atol=1e-5)


def test_noise_below_the_threshold_stays_as_it_is():
    noise = 0.5 + (torch.rand(1, 3, 32, 32, generator=torch.Generator().manual_seed(0)) - 0.5) * 18 / 255

    assert torch.equal(sharpened(noise), noise)
    assert not torch.allclose(sharpened(noise, threshold=1), noise, atol=1e-3)


def test_a_line_in_the_middle_of_a_wide_gaussian_gets_its_published_value():
    line = torch.full((1, 3, 1, 201), 0.2)
    line[..., 100] = 0.6

    result = sharpened(line)[0, 0, 0, 100].item()

    sigma = 0.3 * (51 / 2 - 1.5) + 0.8  # OpenCV's rule for 51 pixels: 8
    peak = 1 / sum(math.exp(-0.5 * (k / sigma) ** 2) for k in range(-25, 26))
    assert result == pytest.approx(0.6 + peak * 0.5 * 0.4 * (1 - peak), abs=1e-5)  # the mask is the line alone


@pytest.mark.parametrize("settings", [{"radius": 2}, {"weight": [1, 0]}, {"threshold": -1.0}])
def test_impossible_settings_are_refused(settings):
    with pytest.raises(ConfigError, match=next(iter(settings))):
        sharpened(edge(), **settings)
