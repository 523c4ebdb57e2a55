"""The parts of a photo that the estimators look at: windows at its own resolution, and the whole photo, shrunk.

In: pixels H x W x C of any type. Out: brightness, and red, green and blue, as float32 on the 8-bit scale. So the time
that a diagnosis takes does not grow with the photo.
"""

from dataclasses import dataclass
from functools import cached_property

import cv2
import numpy as np

from diffir.pixels import as_rgb, to_float

LUMA = np.array([0.299, 0.587, 0.114], dtype=np.float32)
"""Weights of red, green and blue in brightness, ITU-R BT.601."""
WINDOW = 512  # pixels a side
ALONG = 3  # windows along each side of a large photo
WHOLE_SIDE = 256  # pixels of the longer side of the shrunk photo


@dataclass(frozen=True, eq=False)
class Views:
    """The parts of one photo."""

    windows: tuple[np.ndarray, ...]
    """Windows h x w x 3, RGB, float32, 0 to 255; their corners lie at multiples of 8 pixels."""
    whole: np.ndarray
    """The whole photo h x w x 3, RGB, float32, 0 to 255, with at most 256 pixels along its longer side."""
    width: int
    height: int

    @classmethod
    def of(cls, pixels: np.ndarray) -> "Views":
        """Cut and shrink a photo, H x W x C, RGB or grey, uint8, uint16 or float with white at 1."""
        height, width = pixels.shape[:2]
        tops, lefts = _starts(height), _starts(width)
        windows = tuple(_bytes(pixels[top : top + WINDOW, left : left + WINDOW]) for top in tops for left in lefts)
        factor = WHOLE_SIDE / max(height, width)
        shrunk = pixels
        if factor < 1:
            size = max(round(width * factor), 1), max(round(height * factor), 1)
            shrunk = cv2.resize(pixels, size, interpolation=cv2.INTER_AREA)
        return cls(windows, _bytes(shrunk), width, height)

    @cached_property
    def luma(self) -> tuple[np.ndarray, ...]:
        """Brightness of the windows, h x w float32, 0 to 255."""
        return tuple(window @ LUMA for window in self.windows)


def _starts(side: int) -> list[int]:
    """Where the windows begin along a side in pixels; a side of less than three windows is one window and a rest."""
    if side <= WINDOW:
        return [0]
    count = min(ALONG, -(-side // WINDOW))
    return sorted({round(place) // 8 * 8 for place in np.linspace(0, side - WINDOW, count)})


def _bytes(pixels: np.ndarray) -> np.ndarray:
    """The pixels as h x w x 3 float32 on the 8-bit scale, clipped to it."""
    return np.clip(to_float(as_rgb(pixels)).astype(np.float32), 0, 1) * np.float32(255)
