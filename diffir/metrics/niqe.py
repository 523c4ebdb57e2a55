"""NIQE: distance of the statistics of an image from those of pristine photos; it needs no ground truth.

In: an RGB image h x w x 3 float64 on the 8-bit scale. Out: one number, 0 or more, lower is better. Luma, blocks and
precision are those of BasicSR. It computes in float32, which leaves only rounding noise in flat areas; float64 would
change the score by up to 0.1. Source: Mittal, Soundararajan and Bovik, "Making a completely blind image quality
analyzer", SPL 2013, with the released model of pristine photos.
"""

from functools import cache

import numpy as np
from scipy.ndimage import correlate
from scipy.special import gamma

from diffir.errors import ImageError
from diffir.metrics.protocol import luma
from diffir.metrics.weight_files import read_shipped

BLOCK = 96  # pixels at full size
NEIGHBOURS = ((0, 1), (1, 0), (1, 1), (1, -1))  # rows, columns: offsets of the pixels that are multiplied
SHAPES = np.arange(0.2, 10.001, 0.001)  # shapes of the generalised Gaussian, from almost a spike to almost a box
_RATIOS = gamma(2 / SHAPES) ** 2 / (gamma(1 / SHAPES) * gamma(3 / SHAPES))  # E|x|^2 / E x^2 of each shape
# MATLAB's antialiased bicubic at scale 1/2: Keys' kernel, stretched to twice its width, at -3.5, -2.5 ... 3.5 pixels.
_HALF_KERNEL = (-0.01171875, -0.03515625, 0.11328125, 0.43359375)
_KERNEL = (*_HALF_KERNEL, *reversed(_HALF_KERNEL))


def niqe(image: np.ndarray) -> float:
    """Return the distance of the image's statistics from those of pristine photos; NaN for a flat image.

    Raises:
        ImageError: the image has fewer than two blocks of 96 x 96 pixels.
    """
    # Cut the luma to whole blocks.
    rows, columns = (side // BLOCK for side in image.shape[:2])
    if rows * columns < 2:
        size = f"{image.shape[1]} x {image.shape[0]}"
        raise ImageError(f"NIQE needs {2 * BLOCK} x {BLOCK} pixels inside the border, or upright, got {size}")
    y = np.rint(luma(image, rounded=False)[: rows * BLOCK, : columns * BLOCK, 0]).astype(np.float32)
    # Compute the features of all blocks at full and at half size.
    found = np.hstack([_features(y, BLOCK), _features(_halved(y), BLOCK // 2)])
    whole = found[~np.isnan(found).any(axis=1)]
    if len(whole) < 2:
        return float("nan")
    # Compare their Gaussian with that of pristine photos.
    mean, covariance, _ = _pristine()
    gap = mean - np.nanmean(found, axis=0)
    return float(np.sqrt(gap @ np.linalg.pinv((covariance + np.cov(whole, rowvar=False)) / 2) @ gap))


@cache
def _pristine() -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return mean (36) and covariance (36 x 36) of pristine photos, and the 7 x 7 window of the local statistics."""
    model = read_shipped("niqe_pris_params.npz")
    return model["mu_pris_param"].ravel(), model["cov_pris_param"], model["gaussian_window"]


def _features(y: np.ndarray, side: int) -> np.ndarray:
    """Return the features of all blocks of ``side`` pixels, (number of blocks, 18)."""
    # Normalise each pixel by the mean and deviation around it.
    window = _pristine()[2]
    mean, mean_of_square = (correlate(values, window, mode="nearest") for values in (y, y * y))
    normalised = (y - mean) / (np.sqrt(np.abs(mean_of_square - mean * mean)) + 1)
    tops, lefts = range(0, y.shape[0], side), range(0, y.shape[1], side)
    return np.array(
        [_block_features(normalised[top : top + side, left : left + side]) for top in tops for left in lefts]
    )


def _block_features(block: np.ndarray) -> list[float]:
    """Return two features of the pixels, then four of the products with each of four neighbours."""
    shape, left, right = _fit(block)
    numbers = [shape, (left + right) / 2]
    for shift in NEIGHBOURS:
        shape, left, right = _fit(block * np.roll(block, shift, axis=(0, 1)))
        numbers += [shape, (right - left) * gamma(2 / shape) / gamma(1 / shape), left, right]
    return numbers


def _fit(values: np.ndarray) -> tuple[float, float, float]:
    """Fit an asymmetric generalised Gaussian by moments (Lasmar et al., ICIP 2009); return shape and both widths."""
    below, above = values[values < 0], values[values > 0]
    if not below.size or not above.size:
        return float("nan"), float("nan"), float("nan")
    left, right = np.sqrt(np.mean(below**2)), np.sqrt(np.mean(above**2))
    # Find the shape whose ratio of moments is nearest.
    skew = left / right
    ratio = np.mean(np.abs(values)) ** 2 / np.mean(values**2)
    ratio *= (skew**3 + 1) * (skew + 1) / (skew**2 + 1) ** 2
    shape = SHAPES[np.argmin((_RATIOS - ratio) ** 2)]
    width = np.sqrt(gamma(1 / shape) / gamma(3 / shape))
    return float(shape), float(left * width), float(right * width)


def _halved(y: np.ndarray) -> np.ndarray:
    """Halve height and width, which are even, as MATLAB's imresize does for values in [0, 1], with edges mirrored."""
    y = y / np.float32(255)
    reach = len(_KERNEL) // 2 - 1
    for _ in range(2):  # first along the rows, then, transposed, along the columns
        padded = np.pad(y, ((reach, reach), (0, 0)), "symmetric").astype(np.float64)
        total = np.zeros((len(y) // 2, y.shape[1]), np.float32)
        for tap, weight in enumerate(_KERNEL):
            total = (total + weight * padded[tap::2][: len(total)]).astype(np.float32)
        y = total.T
    return y * np.float32(255)
