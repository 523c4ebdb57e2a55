"""Baselines: same kind in and out, and better than doing nothing."""

import numpy as np
import pytest
from skimage.data import astronaut

from diffir.baselines.baseline_table import BASELINES, get_baseline
from diffir.baselines.classical import SlidingDct, estimate_sigma
from diffir.degradations.benchmark_noise import add_benchmark_noise
from diffir.errors import UsageError


def photo(channels: int = 3) -> np.ndarray:
    return np.ascontiguousarray(astronaut()[60:125, 180:241, :channels])


def error(image: np.ndarray) -> float:
    return float(np.mean((image - photo()[:, :, : image.shape[2]] / 255) ** 2))


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16, np.float32])
@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("name", BASELINES)
def test_the_same_kind_comes_out_at_the_scale(name: str, channels: int, dtype: type) -> None:
    white = 1 if dtype is np.float32 else np.iinfo(dtype).max
    image = (photo(channels) / 255 * white).astype(dtype)
    method = get_baseline(name, 10)
    mask = np.eye(65, 61) if method.has_mask else None

    restored = method.restore(image, mask)

    assert method.name == name
    assert restored.dtype == dtype
    assert restored.shape == (65 * method.scale, 61 * method.scale, channels)
    assert restored.mean() == pytest.approx(image.mean(), rel=0.02)


@pytest.mark.parametrize("sigma", [25, None])
@pytest.mark.parametrize("name", [name for name, row in BASELINES.items() if row.takes_sigma])
def test_denoisers_halve_the_error_with_and_without_knowing_sigma(name: str, sigma: float | None) -> None:
    noisy = add_benchmark_noise(photo(), 25)

    assert error(get_baseline(name, sigma).restore(noisy)) < error(noisy) / 2


def test_the_dct_keeps_everything_at_sigma_zero() -> None:
    image = photo() / np.float32(255)

    assert SlidingDct(sigma=0).restore(image) == pytest.approx(image, abs=1e-5)


def test_the_dct_keeps_the_brightness_of_dark_places() -> None:
    dark = np.full((16, 16, 3), 0.01, np.float32)

    assert SlidingDct(sigma=25).restore(dark) == pytest.approx(dark, abs=1e-5)


@pytest.mark.parametrize("sigma", [10, 50])
def test_the_noise_level_is_estimated(sigma: float) -> None:
    smooth = np.full((64, 64, 3), 128, np.uint8)

    assert estimate_sigma(add_benchmark_noise(smooth, sigma)) * 255 == pytest.approx(sigma, rel=0.05)


def test_an_unknown_baseline_is_refused_with_the_known_ones() -> None:
    with pytest.raises(UsageError, match=r"'bm3d'; known: input, bicubic_x2"):
        get_baseline("bm3d")
