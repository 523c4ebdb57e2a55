"""Transparency leaves no fringes, and opacity is exact where it is constant."""

import tracemalloc
from collections.abc import Callable

import numpy as np
import pytest

from diffir.batch.alpha import enlarge_alpha, fill_hidden
from diffir.inference.restorer import Restorer

MakeRestorer = Callable[..., Restorer]
ENLARGING = {"unshuffle": 1, "upsample": 4, "global_skip": "nearest"}


def test_hidden_colour_is_mirrored_at_the_nearest_visible_pixel_or_its_own() -> None:
    pixels = np.arange(7 * 9 * 3, dtype=np.uint8).reshape(7, 9, 3)
    alpha = np.zeros((7, 9), np.uint8)
    alpha[:, 2] = alpha[:, 5] = 1  # hardly visible is visible

    filled = fill_hidden(pixels, alpha)

    shown = [2, 2, 2, 2, 5, 5, 5, 5, 2]  # column 8 mirrored at 5 is 2; the others meet hidden columns
    assert np.array_equal(filled, pixels[:, shown])


def test_noise_goes_on_as_noise_and_not_as_streaks() -> None:
    noise = np.random.default_rng(0).integers(0, 256, (40, 40, 3), dtype=np.uint8)
    alpha = np.zeros((40, 40), np.uint8)
    alpha[:, :20] = 255

    filled = fill_hidden(noise, alpha)

    assert np.array_equal(filled[:, 20:39], noise[:, 18::-1])


@pytest.mark.parametrize("value", [0, 255])
def test_where_all_or_nothing_is_hidden_colours_stay(value: int) -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (5, 6, 3), dtype=np.uint8)

    assert np.array_equal(fill_hidden(pixels, np.full((5, 6), value, np.uint8)), pixels)


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16, np.float32])
@pytest.mark.parametrize("channels", [1, 3])
def test_filling_keeps_visible_pixels_and_the_kind(dtype: type, channels: int) -> None:
    pixels = (np.random.default_rng(0).random((8, 8, channels)) * 200).astype(dtype)
    alpha = np.eye(8).astype(dtype)

    filled = fill_hidden(pixels, alpha)

    assert filled.dtype == dtype
    assert np.array_equal(filled[alpha > 0], pixels[alpha > 0])


def test_at_scale_one_opacity_is_left_alone(make_restorer: MakeRestorer) -> None:
    alpha = np.random.default_rng(0).integers(0, 256, (9, 7), dtype=np.uint8)

    assert np.array_equal(enlarge_alpha(make_restorer(), alpha), alpha)


@pytest.mark.parametrize("value", [0, 3, 255])
def test_constant_opacity_stays_exactly_that_and_needs_no_network(make_restorer: MakeRestorer, value: int) -> None:
    calls: list[float] = []

    enlarged = enlarge_alpha(make_restorer(ENLARGING), np.full((8, 9), value, np.uint8), calls.append)

    assert enlarged.shape == (32, 36)
    assert (enlarged == value).all()
    assert not calls


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16, np.float32])
def test_only_edges_of_opacity_are_the_networks(make_restorer: MakeRestorer, dtype: type) -> None:
    restorer = make_restorer(ENLARGING)
    opaque = 1 if dtype == np.float32 else np.iinfo(dtype).max
    alpha = np.zeros((16, 24), dtype)
    alpha[:, 12:] = opaque

    enlarged = enlarge_alpha(restorer, alpha)

    network = restorer.restore(alpha)
    assert enlarged.dtype == dtype
    assert (enlarged[:, :40] == 0).all()
    assert (enlarged[:, 56:] == opaque).all()
    assert np.array_equal(enlarged[:, 40:56], network[:, 40:56])
    assert not (network[:, :40] == 0).all()  # else this would prove nothing


def test_filling_takes_little_memory() -> None:
    pixels, alpha = np.zeros((600, 700, 3), np.uint8), np.zeros((600, 700), np.uint8)
    alpha[200:400] = 255

    tracemalloc.start()
    fill_hidden(pixels, alpha)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()

    assert peak / alpha.size < 15  # bytes a pixel


def test_strips_fit_together() -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (600, 3, 1), dtype=np.uint8)
    alpha = np.zeros((600, 3), np.uint8)
    alpha[::2] = 255

    filled = fill_hidden(pixels, alpha)

    above, below = pixels[:-1:2], np.concatenate([pixels[2::2], pixels[-2:-1]])
    assert ((filled[1::2] == above) | (filled[1::2] == below)).all()
