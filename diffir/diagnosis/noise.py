"""Noise: its standard deviation in brightness, in 1/255, at the size of the photo and at half of it.

In: windows of a photo on the 8-bit scale. Out: numbers. The operator is that of J. Immerkaer, "Fast noise variance
estimation", CVIU 1996, eq. 1 and 3, which structures of an image hardly pass. Texture passes it as noise does, but
leaves some parts of a photo flat, and noise does not: so the flattest hundredth of small blocks decides. At half size
white noise is half as strong, and texture is stronger.
"""

from collections.abc import Sequence

import cv2
import numpy as np

_OPERATOR = np.array([[1, -2, 1], [-2, 4, -2], [1, -2, 1]], dtype=np.float32) / 6  # its norm is 1
_BLOCK = 16  # pixels a side
_FLATTEST = 0.01  # share of the blocks
_OF_NOISE = 0.82  # what the flattest hundredth has of the standard deviation of white noise; measured
_CLIPPED = 16  # grey levels from black and from white within which noise is cut off
_FEWEST_BLOCKS = 4


def noise_level(luma: Sequence[np.ndarray]) -> float:
    """Standard deviation of the noise in 1/255; 0 if too few parts are neither nearly black nor nearly white.

    Args:
        luma: windows h x w float32, 0 to 255.
    """
    deviations, means = [], []
    for window in luma:
        if min(window.shape) >= _BLOCK + 2:
            response = np.abs(cv2.filter2D(window, -1, _OPERATOR))[1:-1, 1:-1]
            deviations.append(_block_means(response) * np.sqrt(np.pi / 2))  # of a normal distribution, eq. 3
            means.append(_block_means(window[1:-1, 1:-1]))
    if not deviations:
        return 0.0
    found, mean = np.concatenate(deviations), np.concatenate(means)
    found = found[(mean > _CLIPPED) & (mean < 255 - _CLIPPED)]
    return float(np.quantile(found, _FLATTEST)) / _OF_NOISE if len(found) >= _FEWEST_BLOCKS else 0.0


def coarse_noise_level(luma: Sequence[np.ndarray]) -> float:
    """Standard deviation at half size, in 1/255; white noise of standard deviation s has s / 2 there."""
    halves = [
        cv2.resize(window, None, fx=0.5, fy=0.5, interpolation=cv2.INTER_AREA)
        for window in luma
        if min(window.shape) > 1
    ]
    return noise_level(halves)


def _block_means(channel: np.ndarray) -> np.ndarray:
    rows, columns = (side // _BLOCK for side in channel.shape)
    blocks = channel[: rows * _BLOCK, : columns * _BLOCK].reshape(rows, _BLOCK, columns, _BLOCK)
    return blocks.mean(axis=(1, 3)).ravel()
