"""Whether two images show the same thing in the same place, though one of them is damaged.

In: two images of one scene, the second as large as the first or a whole number of times larger. Out: how well their
structures agree, and by how many pixels the second would have to move. Compared is a band of middle sizes (between two
blurs), which noise, blur, haze, darkness and small scale leave alone.
"""

from dataclasses import dataclass

import cv2
import numpy as np

from diffir.data.checking.fingerprints import grey

_SIDE = 512  # pixels: larger images are compared at this size
_FINE, _COARSE = 2.0, 8.0  # pixels, standard deviation of the two blurs
_NO_STRUCTURE = 1e-3  # standard deviation of the band, white being 1


@dataclass(frozen=True)
class Likeness:
    """How two images agree."""

    correlation: float
    """Of the bands as they lie: 1 is the same, 0 is nothing in common."""
    shift: tuple[float, float]
    """Pixels of the first image, right and down, by which the second would have to move."""
    correlation_moved: float
    """Of the bands after that move."""


def likeness(first: np.ndarray, second: np.ndarray) -> Likeness | None:
    """None where one of the images has no structure to compare."""
    factor = min(1.0, _SIDE / max(first.shape[:2]))
    size = max(round(first.shape[1] * factor), 1), max(round(first.shape[0] * factor), 1)
    bands = [_band(cv2.resize(grey(image), size, interpolation=cv2.INTER_AREA)) for image in (first, second)]
    if min(band.std() for band in bands) < _NO_STRUCTURE:
        return None
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
    """The part that is still covered when the other band moves to the right and down."""
    height, width = band.shape
    return band[max(down, 0) : height + min(down, 0), max(right, 0) : width + min(right, 0)]


def _correlation(left: np.ndarray, right: np.ndarray) -> float:
    left, right = left - left.mean(), right - right.mean()
    norm = float(np.sqrt((left**2).sum() * (right**2).sum()))
    return float((left * right).sum()) / norm if norm > 0 else 0.0
