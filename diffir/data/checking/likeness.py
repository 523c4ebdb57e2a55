"""Test whether two images show the same scene in the same place although one of them is degraded.

In: two images of one scene, the second as large as the first or a whole number of times larger. Out: the correlation of
their structures, and the shift of the second image that aligns them. The images are compared in a band of middle
frequencies (difference of two blurs), which noise, blur, haze, low light and downscaling hardly change.
"""

from dataclasses import dataclass

import cv2
import numpy as np

from diffir.data.checking.fingerprints import grey

_SIDE = 512  # pixels: larger images are downscaled to this side
_FINE, _COARSE = 2.0, 8.0  # standard deviations of the two blurs in pixels
_NO_STRUCTURE = 1e-3  # standard deviation of the band (white is 1) below which an image has no structure


@dataclass(frozen=True)
class Likeness:
    """How well two images agree."""

    correlation: float
    """Correlation of the bands without a shift: 1 for equal images, 0 for unrelated ones."""
    shift: tuple[float, float]
    """Shift (right, down) in pixels of the first image that would align the second with it."""
    correlation_moved: float
    """Correlation of the bands after that shift."""


def likeness(first: np.ndarray, second: np.ndarray) -> Likeness | None:
    """Compare two images H x W x C of any type; None if one of them has no structure."""
    # Bring both images to one size and take their middle frequencies.
    factor = min(1.0, _SIDE / max(first.shape[:2]))
    size = max(round(first.shape[1] * factor), 1), max(round(first.shape[0] * factor), 1)
    bands = [_band(cv2.resize(grey(image), size, interpolation=cv2.INTER_AREA)) for image in (first, second)]
    if min(band.std() for band in bands) < _NO_STRUCTURE:
        return None

    # Estimate the shift and correlate the bands with and without it.
    window = cv2.createHanningWindow(size, cv2.CV_32F) if min(size) > 1 else None
    (across, down), _ = cv2.phaseCorrelate(bands[1], bands[0], window)
    right, low = round(across), round(down)
    return Likeness(
        correlation=_correlation(*bands),
        shift=(across / factor, down / factor),
        correlation_moved=_correlation(_kept(bands[0], right, low), _kept(bands[1], -right, -low)),
    )


def _band(plane: np.ndarray) -> np.ndarray:
    return cv2.GaussianBlur(plane, (0, 0), _FINE) - cv2.GaussianBlur(plane, (0, 0), _COARSE)


def _kept(band: np.ndarray, right: int, down: int) -> np.ndarray:
    """The part of a band that still overlaps when the other band is shifted right and down."""
    height, width = band.shape
    return band[max(down, 0) : height + min(down, 0), max(right, 0) : width + min(right, 0)]


def _correlation(left: np.ndarray, right: np.ndarray) -> float:
    left, right = left - left.mean(), right - right.mean()
    norm = float(np.sqrt((left**2).sum() * (right**2).sum()))
    return float((left * right).sum()) / norm if norm > 0 else 0.0
