"""Decoded pixels and metadata -> a photo that stands upright.

In: an array H x W x C as decoders give it (grey, grey with alpha, RGB, RGBA), and metadata as the file had them. Out:
a ``Photo`` whose colour and alpha are apart, and whose metadata no longer ask for a turn. EXIF is asked for the
orientation first, then XMP (as Pillow does). Source: EXIF 2.32, tag 274.
"""

from typing import TypedDict

import numpy as np

from diffir.image_io.metadata import upright_exif, upright_xmp
from diffir.image_io.photo import Photo


class Carried(TypedDict, total=False):
    """What a file holds beside its pixels, as ``Photo`` names it."""

    icc_profile: bytes | None
    exif: bytes | None
    xmp: bytes | None
    dpi: tuple[float, float] | None
    note: str
    lossless: bool


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
) -> Photo:
    """Split colour and alpha, and turn them upright.

    Args:
        array: H x W x 1, 2 (grey, alpha), 3 or 4 (RGB, alpha).
        orientation: 1-8, where the format itself says it; None: EXIF or XMP may.
    """
    from_exif, exif = upright_exif(exif)
    from_xmp, xmp = upright_xmp(xmp)
    turn = next((found for found in (orientation, from_exif, from_xmp) if found is not None), 1)
    colours = 1 if is_grey else 3
    pixels = np.ascontiguousarray(turn_upright(array[:, :, :colours], turn))
    alpha = np.ascontiguousarray(turn_upright(array[:, :, -1], turn)) if array.shape[2] in (2, 4) else None
    if dpi is not None and turn in (5, 6, 7, 8):
        dpi = dpi[::-1]
    return Photo(pixels, alpha, icc_profile or None, exif, xmp, dpi, note, lossless)


def turn_upright(array: np.ndarray, orientation: int) -> np.ndarray:
    """1 upright, 2-4 flips and half turn, 5-8 with the sides exchanged; rows and columns come first."""
    if orientation in (5, 6, 7, 8):
        array = array.swapaxes(0, 1)
    if orientation in (3, 4, 7, 8):
        array = array[::-1]
    if orientation in (2, 3, 6, 7):
        array = array[:, ::-1]
    return array
