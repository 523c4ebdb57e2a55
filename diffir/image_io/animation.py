"""Animations: frames out of GIF, WebP and PNG files, and back into GIF and WebP.

In: an opened Pillow image of many frames, which Pillow lays over one another as the file asks. Out: an ``Animation``
of whole frames. A GIF counts its repetitions after the first showing, the other formats all showings; here it is all.
Writing, Pillow joins frames that are equal to the one before and adds their times up.
"""

import io
from dataclasses import replace
from itertools import accumulate, pairwise
from typing import Any

import numpy as np
from PIL import Image

from diffir.errors import ImageError
from diffir.image_io.colour import plain_array
from diffir.image_io.palette import as_palette
from diffir.image_io.photo import Animation, Limits, Photo, flat_if_grey
from diffir.image_io.upright import Carried, upright_photo

_CLEAR_BEFORE_NEXT = 2  # GIF's disposal that lets holes of a frame be holes


def read_frames(image: Image.Image, limits: Limits, carried: Carried) -> Animation:
    """All frames of an opened image; ``carried`` are the metadata of the first."""
    first = int(bool(getattr(image, "default_image", False)))  # a PNG's picture for programs without animation
    count = image.n_frames - first  # type: ignore[attr-defined]
    size = image.size
    limits.check(*size, count)
    arrays, durations = [], []
    for index in range(first, first + count):
        image.seek(index)
        arrays.append(plain_array(image)[0])
        durations.append(float(image.info.get("duration", 0)))
        if image.size != size:
            raise ImageError("damaged (frames of several sizes)")
    arrays = _alike(arrays)
    photos = [upright_photo(array, is_grey=array.shape[2] < 3, **carried) for array in arrays]  # EXIF may turn them
    bare = [replace(photo, icc_profile=None, exif=None, xmp=None, dpi=None, note="") for photo in photos[1:]]
    return Animation((photos[0], *bare), tuple(durations), _showings(image))


def encode_gif(animation: Animation) -> bytes:
    """256 colours and one bit of alpha a frame; times in whole hundredths of a second."""
    frames = [as_palette(photo) for photo in animation.frames]
    options: dict[str, Any] = {"duration": _rounded_times(animation, 10)}
    if animation.loop != 1:
        options["loop"] = max(animation.loop - 1, 0)
    if animation.frames[0].alpha is not None:
        options["disposal"] = _CLEAR_BEFORE_NEXT
    buffer = io.BytesIO()
    frames[0].save(buffer, "GIF", save_all=True, append_images=frames[1:], optimize=False, **options)
    return buffer.getvalue()


def encode_webp(animation: Animation, quality: int) -> bytes:
    """Times in whole milliseconds."""
    first = animation.frames[0]
    images = [Image.fromarray(flat_if_grey(frame_array(photo))) for photo in animation.frames]
    buffer = io.BytesIO()
    images[0].save(
        buffer,
        "WEBP",
        save_all=True,
        append_images=images[1:],
        duration=_rounded_times(animation, 1),
        loop=animation.loop,
        quality=quality,
        lossless=first.lossless,
        exact=first.lossless,
        icc_profile=first.icc_profile or b"",
        exif=first.exif or b"",
        xmp=first.xmp or b"",
    )
    return buffer.getvalue()


def frame_array(photo: Photo) -> np.ndarray:
    """H x W x C: colour and alpha in one."""
    return photo.pixels if photo.alpha is None else np.dstack([photo.pixels, photo.alpha])


def _rounded_times(animation: Animation, unit_ms: int) -> list[int]:
    """Milliseconds, multiples of the unit; what one time loses by it, a later one makes up for."""
    ends = [0, *(unit_ms * round(end / unit_ms) for end in accumulate(animation.durations_ms))]
    return [end - start for start, end in pairwise(ends)]


def _alike(arrays: list[np.ndarray]) -> list[np.ndarray]:
    """Frames of the same channels: grey only if all are, alpha only if one is not opaque."""
    is_grey = all(array.shape[2] < 3 for array in arrays)
    has_alpha = any(array.shape[2] in (2, 4) and array[:, :, -1].min() < 255 for array in arrays)
    return [_with_channels(array, is_grey, has_alpha) for array in arrays]


def _with_channels(array: np.ndarray, is_grey: bool, has_alpha: bool) -> np.ndarray:
    channels = array.shape[2]
    colour = array[:, :, : channels - (channels in (2, 4))]
    if not is_grey and colour.shape[2] == 1:
        colour = np.repeat(colour, 3, axis=2)
    if not has_alpha:
        return colour
    alpha = array[:, :, -1] if channels in (2, 4) else np.full(array.shape[:2], 255, np.uint8)
    return np.dstack([colour, alpha])


def _showings(image: Image.Image) -> int:
    """How often it is shown; 0: for ever."""
    if image.format != "GIF":
        return int(image.info.get("loop", 0))
    repetitions = image.info.get("loop")
    if repetitions is None:
        return 1
    return int(repetitions) + 1 if repetitions else 0
