"""Camera noise: the variance of a sensor, correlated neighbours, grey and colour smoothed separately."""

import pytest
import torch

from diffir.degradations.camera_noise import CameraNoise
from diffir.degradations.draw import Draw
from diffir.degradations.shapes.srgb import to_linear, to_srgb

PLAIN = {"read": (0.0, 0.0), "grain": (0.0, 0.0), "chroma_grain": (0.0, 0.0), "chroma": (1.0, 1.0)}


def noise_on(light, **settings):
    """The noise in linear light on an even field of that light."""
    clean = to_srgb(torch.full((1, 3, 128, 128), light))
    step = CameraNoise(**{**PLAIN, "electrons": (2000.0, 2000.0), **settings})
    noisy = step(clean, Draw(torch.Generator().manual_seed(0), (128, 128)))
    return to_linear(noisy) - to_linear(clean)


def neighbours(field):
    """Correlation of a pixel with the next in its row."""
    left, right = field[..., :-1].flatten(), field[..., 1:].flatten()
    return torch.corrcoef(torch.stack([left, right]))[0, 1].item()


@pytest.mark.parametrize("light", [0.1, 0.3, 0.8])
def test_the_variance_is_the_light_over_the_electrons(light):
    assert noise_on(light).var().item() == pytest.approx(light / 2000, rel=0.05)


def test_in_the_dark_the_noise_of_the_amplifier_remains():
    variance = noise_on(0.01, read=(4.0, 4.0)).var().item()

    assert variance == pytest.approx(0.01 / 2000 + (4 / 2000) ** 2, rel=0.05)


@pytest.mark.parametrize("grain", [0.8, 1.5])
def test_smoothing_makes_noise_coarser_but_not_weaker(grain):
    fine, coarse = noise_on(0.4), noise_on(0.4, grain=(grain, grain), chroma_grain=(1.5, 1.5))

    assert coarse.var().item() == pytest.approx(fine.var().item(), rel=0.1)
    assert neighbours(coarse) > neighbours(fine) + 0.2


def test_without_smoothing_neighbours_are_correlated_as_on_a_bayer_sensor():
    noise = noise_on(0.4)

    assert neighbours(noise[:, 1]) == pytest.approx(0.4, abs=0.05)  # green: (1/4 + 1/4) / 2 over 5/8
    assert neighbours(noise[:, 0]) == pytest.approx(2 / 3, abs=0.05)  # red: ((1/2 + 1/4) / 2) over 9/16


def test_colour_noise_can_be_left_out_and_made_stronger():
    def colour(**settings):
        noise = noise_on(0.4, **settings)
        return (noise[:, 0] - noise[:, 2]).std().item()

    assert colour(chroma=(0.0, 0.0)) < 1e-6
    assert colour(chroma=(2.0, 2.0)) == pytest.approx(2 * colour(), rel=0.02)


def test_colour_is_smoothed_separately_from_grey():
    noise = noise_on(0.4, chroma_grain=(3.0, 3.0))
    grey = noise.mean(dim=1)

    assert neighbours(noise[:, 0] - grey) > 0.9
    assert neighbours(grey) < 0.6


@pytest.mark.parametrize("size", [(1, 1), (1, 9), (2, 3)], ids=str)
def test_even_the_smallest_image_gets_finite_noise(size):
    noisy = CameraNoise()(torch.full((1, 3, *size), 0.5), Draw(torch.Generator().manual_seed(1), size))

    assert noisy.isfinite().all() and noisy.shape == (1, 3, *size)
