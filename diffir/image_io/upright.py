"""Build an upright photo from decoded pixels and metadata.

In: an array H x W x C from a decoder (grey, grey with alpha, RGB, RGBA), and the metadata of the file. Out: a
``Photo`` with colour and alpha in separate arrays, whose metadata state orientation 1. The orientation is taken from
EXIF, or else from XMP, in the same order as Pillow does. Source: EXIF 2.32, tag 274.
"""

from collections.abc import Mapping
from typing import TypedDict

import numpy as np

from diffir.image_io.metadata import upright_exif, upright_xmp
from diffir.image_io.photo import Photo


class Carried(TypedDict, total=False):
    """The fields of ``Photo`` that a reader passes on beside the pixels."""

    icc_profile: bytes | None
    exif: bytes | None
    xmp: bytes | None
    dpi: tuple[float, float] | None
    note: str
    lossless: bool
    colour_chunks: Mapping[str, bytes] | None


def upright_photo(
    array: np.ndarray,
    *,
    is_grey: bool,
    exif: bytes | None = None,
    xmp: bytes | None = None,
    orientation: int | None = None,
    icc_profile: bytes | None = None,
    dpi: tuple[float, float] | None = None,
    note: str = "",
    lossless: bool = False,
    colour_chunks: Mapping[str, bytes] | None = None,
    infrared: np.ndarray | None = None,
) -> Photo:
    """Split colour and alpha, and turn them upright.

    Args:
        array: H x W x 1, 2 (grey, alpha), 3 or 4 (RGB, alpha).
        is_grey: True if the first channel alone is colour.
        infrared: H x W, or None.
        orientation: 1-8 if the format itself states it; None means that EXIF or XMP may.
    """
    from_exif, exif = upright_exif(exif)
    from_xmp, xmp = upright_xmp(xmp)
    turn = next((found for found in (orientation, from_exif, from_xmp) if found is not None), 1)
    colours = 1 if is_grey else 3
    pixels = np.ascontiguousarray(turn_upright(array[:, :, :colours], turn))
    alpha = np.ascontiguousarray(turn_upright(array[:, :, -1], turn)) if array.shape[2] in (2, 4) else None
    infrared = None if infrared is None else np.ascontiguousarray(turn_upright(infrared, turn))
    if dpi is not None and turn in (5, 6, 7, 8):
        dpi = dpi[::-1]
    return Photo(pixels, alpha, icc_profile or None, exif, xmp, dpi, note, lossless, colour_chunks, infrared)


def turn_upright(array: np.ndarray, orientation: int) -> np.ndarray:
    """Undo an orientation: 1 is upright, 2-4 are flips and the half turn, 5-8 also exchange height and width.

    The first two axes of the array are rows and columns.
    """
    if orientation in (5, 6, 7, 8):
        array = array.swapaxes(0, 1)
    if orientation in (3, 4, 7, 8):
        array = array[::-1]
    if orientation in (2, 3, 6, 7):
        array = array[:, ::-1]
    return array
