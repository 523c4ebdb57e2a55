"""Conversions keep white in every type of array, and grey images become three equal channels."""

import numpy as np
import pytest

from diffir.pixels import as_rgb, to_float, to_kind, white


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
def test_every_integer_survives_the_way_through_float32(dtype: type) -> None:
    values = np.arange(white(dtype) + 1).astype(dtype)[:, None]

    real = to_float(values)

    assert (real.dtype, real.min(), real.max()) == (np.float32, 0, 1)
    assert np.array_equal(to_kind(real, dtype), values)


def test_depths_agree_about_a_colour() -> None:
    eight = np.arange(256, dtype=np.uint8)

    assert np.array_equal(to_kind(to_float(eight), np.uint16), eight.astype(int) * 257)


def test_integers_are_clipped_and_rounded_but_floats_keep_their_noise() -> None:
    noisy = np.array([[-0.5, 0.6 / 255, 2.0]], np.float32)

    assert to_kind(noisy, np.uint8).tolist() == [[0, 1, 255]]
    assert np.array_equal(to_kind(noisy, np.float64), noisy)
    assert to_float(noisy) is noisy


@pytest.mark.parametrize("shape", [(2, 3), (2, 3, 1), (2, 3, 3)])
def test_grey_becomes_three_equal_channels_and_rgb_stays(shape: tuple[int, ...]) -> None:
    image = np.arange(np.prod(shape), dtype=np.uint16).reshape(shape)

    rgb = as_rgb(image)

    assert (rgb.shape, rgb.dtype) == ((2, 3, 3), np.uint16)
    assert (rgb == np.atleast_3d(image)).all()
