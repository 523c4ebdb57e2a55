"""Crop pictures for the page: a small picture is kept whole, a large one is cut to the part with the largest error.

In: the pictures of a case. Out: a window, and its pixels as lossless data URIs. Pictures are never downscaled, so that
one pixel of the picture is one pixel of the page at 100 %; a page of whole photos would be too large to send.
"""

import base64
import io
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from PIL import Image

from diffir.errors import ImageError
from diffir.report.cases import GROUND_TRUTH, INPUT, Case

LARGEST_SIDE = 512  # pixels; a compromise between view and file size
POINT_SIDE = 48  # pixels: side of the window whose middle the zoom shows first


@dataclass(frozen=True)
class Window:
    """A rectangle inside a picture, in pixels."""

    left: int
    top: int
    width: int
    height: int

    def cut(self, image: np.ndarray) -> np.ndarray:
        """Cut the window from an image: H x W x C -> height x width x C."""
        return image[self.top : self.top + self.height, self.left : self.left + self.width]


def check_pictures(case: Case) -> None:
    """Check that a case has pictures that can be laid over each other.

    Raises:
        ImageError: there are no pictures, or they are not all H x W x 3 uint8 of one size.
    """
    shapes = {(picture.dtype.name, picture.shape) for picture in case.pictures.values()}
    (kind, shape), *others = shapes or {("none", ())}
    if others or kind != "uint8" or len(shape) != 3 or shape[2] != 3 or 0 in shape:
        raise ImageError(f"{case.name}: pictures of a report are H x W x 3 uint8 of one size, not {sorted(shapes)}")


def error_of(pictures: Mapping[str, np.ndarray]) -> np.ndarray:
    """Sum the squared error to the ground truth over channels and methods: H x W float64.

    Without a ground truth, the error is the difference between results and input. It is zero if there is nothing to
    compare.
    """
    # What the methods are compared with: the ground truth, else the input.
    methods = [name for name in pictures if name not in (INPUT, GROUND_TRUTH)]
    aim = pictures.get(GROUND_TRUTH, pictures.get(INPUT))
    error = np.zeros(next(iter(pictures.values())).shape[:2])
    if aim is None:
        return error
    for name in methods or [INPUT]:
        difference = pictures.get(name, aim).astype(np.float64) - aim
        error += np.square(difference).sum(axis=2)
    return error


def worst_window(error: np.ndarray, side: int) -> Window:
    """Find the window of at most ``side`` x ``side`` pixels with the largest sum of errors (H x W).

    Uses a summed-area table (Crow, 1984). Among equal windows, the one nearest to the middle is chosen.
    """
    # The sum of every window, from four entries of the table.
    height, width = min(side, error.shape[0]), min(side, error.shape[1])
    table = np.pad(error, ((1, 0), (1, 0))).cumsum(axis=0).cumsum(axis=1)
    sums = table[height:, width:] - table[:-height, width:] - table[height:, :-width] + table[:-height, :-width]

    # Windows with the largest sum, up to rounding; then the one nearest to the middle.
    tops, lefts = np.nonzero(sums >= sums.max() * (1 - 1e-9))
    off_middle = np.hypot(tops - (sums.shape[0] - 1) / 2, lefts - (sums.shape[1] - 1) / 2)
    nearest = int(off_middle.argmin())
    return Window(int(lefts[nearest]), int(tops[nearest]), width, height)


def image_address(image: np.ndarray) -> str:
    """Encode H x W x 3 uint8 RGB as a data URI of lossless WebP, which is a third smaller than PNG."""
    buffer = io.BytesIO()
    Image.fromarray(image).save(buffer, "WEBP", lossless=True, quality=80, method=4)
    return "data:image/webp;base64," + base64.b64encode(buffer.getvalue()).decode()
