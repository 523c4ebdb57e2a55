"""Animations: read the frames of GIF, WebP and PNG files, and write them as GIF and WebP.

In: an opened Pillow image of many frames, which Pillow composes as the file specifies. Out: an ``Animation`` of whole
frames. A GIF stores how often it repeats after the first showing, the other formats store the number of showings; an
``Animation`` has the number of showings. When Pillow writes, it merges equal neighbouring frames and adds their times.
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

_CLEAR_BEFORE_NEXT = 2  # GIF disposal method: clear the frame, so that transparent pixels of the next one stay so


def read_frames(image: Image.Image, limits: Limits, carried: Carried) -> Animation:
    """Read all frames of an opened image; ``carried`` holds the metadata of the first frame."""
    # A PNG may begin with a still picture for programs without animation; it is no frame.
    first = int(bool(getattr(image, "default_image", False)))
    count = image.n_frames - first  # type: ignore[attr-defined]
    size = image.size
    limits.check(*size, count)
    # Decode the frames one by one.
    arrays, durations = [], []
    for index in range(first, first + count):
        image.seek(index)
        arrays.append(plain_array(image)[0])
        durations.append(float(image.info.get("duration", 0)))
        if image.size != size:
            raise ImageError("damaged (frames of several sizes)")
    # Give all frames the same channels, and turn them as EXIF says; only the first keeps the metadata.
    arrays = _alike(arrays)
    photos = [upright_photo(array, is_grey=array.shape[2] < 3, **carried) for array in arrays]
    bare = [
        replace(photo, icc_profile=None, exif=None, xmp=None, dpi=None, note="", colour_chunks=None)
        for photo in photos[1:]
    ]
    return Animation((photos[0], *bare), tuple(durations), _showings(image))


def encode_gif(animation: Animation) -> bytes:
    """Encode as GIF: each frame has 256 colours and one bit of alpha; times are whole hundredths of a second."""
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
    """Encode as WebP of a quality from 1 to 100, lossless if the first frame is marked so; times are whole ms."""
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
    """Return colour and alpha of a photo as one array H x W x C."""
    return photo.pixels if photo.alpha is None else np.dstack([photo.pixels, photo.alpha])


def _rounded_times(animation: Animation, unit_ms: int) -> list[int]:
    """Round the frame times to multiples of ``unit_ms`` (in ms) without letting the rounding errors add up."""
    ends = [0, *(unit_ms * round(end / unit_ms) for end in accumulate(animation.durations_ms))]
    return [end - start for start, end in pairwise(ends)]


def _alike(arrays: list[np.ndarray]) -> list[np.ndarray]:
    """Give all frames the same channels: grey only if all are grey, alpha only if one frame is not opaque."""
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
    """Return how often the animation is shown; 0 means without end."""
    if image.format != "GIF":
        return int(image.info.get("loop", 0))
    repetitions = image.info.get("loop")
    if repetitions is None:
        return 1
    return int(repetitions) + 1 if repetitions else 0
