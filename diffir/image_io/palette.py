"""Reduce a photo to at most 256 colours for GIF: exactly if it has no more, else by median cut with dithering.

In: a ``Photo``. Out: a Pillow image of mode P (or L, which GIF can hold). Alpha becomes one bit with the threshold at
one half, and takes one of the 256 colours. Source: GIF89a; P. Heckbert, "Color image quantization", 1982; R. Floyd and
L. Steinberg, "An adaptive algorithm for spatial grey scale", 1976.
"""

import numpy as np
from PIL import Image

from diffir.image_io.photo import Photo, flat_if_grey
from diffir.pixels import to_float, to_kind

_COLOURS = 256


def as_palette(photo: Photo) -> Image.Image:
    """Convert a photo to mode L or P; transparent pixels get the last colour of the palette."""
    pixels = to_kind(to_float(photo.pixels), np.uint8)
    if photo.alpha is None and pixels.shape[2] == 1:
        return Image.fromarray(flat_if_grey(pixels))
    rgb = np.ascontiguousarray(np.repeat(pixels, 3, axis=2) if pixels.shape[2] == 1 else pixels)
    free = _COLOURS - (photo.alpha is not None)
    image = _exact(rgb, free) or _dithered(rgb, free)
    if photo.alpha is None:
        return image
    # Give the transparent pixels the last index, which the colours do not use.
    hole = _COLOURS - 1
    indices = np.where(to_float(photo.alpha) < 0.5, hole, np.asarray(image)).astype(np.uint8)
    with_holes = Image.fromarray(indices).convert("L")
    with_holes.putpalette((image.getpalette() or [])[: 3 * free])
    with_holes.info["transparency"] = hole
    return with_holes


def _dithered(rgb: np.ndarray, free: int) -> Image.Image:
    """Choose colours by median cut, then dither to them; without dithering, smooth ramps show visible bands.

    Two calls are needed, because Pillow dithers only to a palette that it is given.
    """
    image = Image.fromarray(rgb)
    colours = image.quantize(free, Image.Quantize.MEDIANCUT)
    return image.quantize(palette=colours, dither=Image.Dither.FLOYDSTEINBERG)


def _exact(rgb: np.ndarray, free: int) -> Image.Image | None:
    """Return the image with exactly its colours, or None if it has more than ``free`` of them."""
    if Image.fromarray(rgb).getcolors(free) is None:
        return None
    packed = rgb @ np.array([65536, 256, 1])
    colours, indices = np.unique(packed, return_inverse=True)
    image = Image.fromarray(indices.reshape(packed.shape).astype(np.uint8))
    image.putpalette(np.stack([colours >> 16, colours >> 8 & 255, colours & 255], axis=1).astype(np.uint8).tobytes())
    return image
