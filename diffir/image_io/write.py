"""Write a photo or an animation to a file whose suffix chooses the format; the file is written whole or not at all.

In: a ``Photo``, an ``Animation``, ``Pages`` or an array, and a path. Out: the file. What the format cannot hold is
converted or left out; ``describe_losses`` states beforehand what that is, and ``kept_suffix`` chooses a format that
keeps depth, alpha and frames. The width and height in EXIF become those of the written picture.
"""

import io
import struct
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from diffir.errors import ImageError, UsageError
from diffir.files import write_atomically
from diffir.image_io.animation import encode_gif, encode_webp, frame_array
from diffir.image_io.formats import WRITABLE_SUFFIXES, Format, format_of
from diffir.image_io.losses import as_held
from diffir.image_io.metadata import sized_exif
from diffir.image_io.photo import Animation, Content, Pages, Photo, flat_if_grey, frames_of
from diffir.image_io.png_write import encode_animated_png, encode_png
from diffir.image_io.tiff_write import encode_tiff

_FULL_CHROMA_QUALITY = 90  # from here JPEG and AVIF keep colour at full resolution (4:4:4); a matter of taste
_XMP_MARKER = b"http://ns.adobe.com/xap/1.0/\0"


def write_image(path: str | Path, photo: Content | np.ndarray, *, quality: int = 95) -> None:
    """Write a photo, an animation, pages, or an array H x W x C or H x W, in the format of the suffix.

    Missing folders are created. Floats have white at 1, and are clipped to [0, 1] if the format stores whole numbers.

    Args:
        quality: 1-100, for JPEG, WebP (unless ``lossless``) and AVIF.
    Raises:
        UsageError: the quality is out of range.
        ImageError: the suffix is unknown, the array is no image, a side is longer than the format allows, the format
            cannot hold an animation or pages, or the disk cannot be written.
    """
    path = Path(path)
    if not 1 <= quality <= 100:
        raise UsageError(f"quality must be from 1 (smallest file) to 100 (best), got {quality}")
    content_of_file = Photo(np.atleast_3d(photo)) if isinstance(photo, np.ndarray) else photo
    row = check_fits(path, content_of_file)
    try:
        content = _encode(content_of_file, row, quality)
        with write_atomically(path) as file:
            file.write(content)
    except ImageError as error:
        raise ImageError(f"{path}: {error}") from error
    except (OSError, ValueError, MemoryError, struct.error) as error:
        raise ImageError(f"{path}: cannot be written ({error})") from error


def check_fits(path: Path, content: Content) -> Format:
    """Return the format of a file that is to be written.

    Raises:
        ImageError: the suffix is unknown, the frames do not agree, or the format cannot hold them.
    """
    row = format_of(path.suffix)
    if row is None or not row.can_write:
        shown = path.suffix.lower() or "a file without suffix"
        raise ImageError(f"{path}: cannot write {shown}; can: {', '.join(WRITABLE_SUFFIXES)}")
    try:
        _check(content, frames_of(content), row)
    except ImageError as error:
        raise ImageError(f"{path}: {error}") from error
    return row


def _encode(photo: Content, row: Format, quality: int) -> bytes:
    # Convert the frames to what the format can hold.
    frames = frames_of(photo)
    held = [as_held(frame, row) for frame in frames]
    held = [replace(frame, exif=sized_exif(frame.exif, *frame.pixels.shape[1::-1])) for frame in held]
    # Encode them.
    if isinstance(photo, Pages):
        return encode_tiff(held)
    if not isinstance(photo, Animation):
        return _encode_still(held[0], row, quality)
    animation = replace(photo, frames=tuple(held))
    if row.name == "GIF":
        return encode_gif(animation)
    return encode_webp(animation, quality) if row.name == "WEBP" else encode_animated_png(animation)


def _check(photo: Content, frames: tuple[Photo, ...], row: Format) -> None:
    """Raise ImageError unless the frames agree with each other and fit the format."""
    if isinstance(photo, Animation) and not row.has_frames:
        raise ImageError(f"{row.name} cannot hold an animation; .gif, .png and .webp can")
    if isinstance(photo, Pages) and not (row.has_pages and frames):
        raise ImageError(f"{row.name} cannot hold {len(frames)} pages; .tif can")
    if isinstance(photo, Animation) and not len(frames) == len(photo.durations_ms) > 0:
        raise ImageError(f"an animation has a time for each frame, not {len(photo.durations_ms)} for {len(frames)}")
    for frame in frames:
        shape = frame.pixels.shape
        if len(shape) != 3 or shape[2] not in (1, 3) or not frame.pixels.size:
            raise ImageError(f"an image has 1 or 3 channels, not shape {shape}")
        if frame.alpha is not None and frame.alpha.shape != shape[:2]:
            raise ImageError(f"alpha has the size of the pixels, not {frame.alpha.shape} for {shape}")
        if frame.infrared is not None and frame.infrared.shape != shape[:2]:
            raise ImageError(f"infrared has the size of the pixels, not {frame.infrared.shape} for {shape}")
        is_alike = shape == frames[0].pixels.shape and (frame.alpha is None) == (frames[0].alpha is None)
        if not is_alike and not isinstance(photo, Pages):
            raise ImageError("the frames of an animation have one size, the same channels, and all have alpha or none")
        if max(shape) > row.largest_side:
            raise ImageError(f"{row.name} holds at most {row.largest_side} pixels per side, not {max(shape)}; use .png")


def _encode_still(photo: Photo, row: Format, quality: int) -> bytes:
    # Formats with an encoder of their own.
    if row.name == "TIFF":
        return encode_tiff([photo])
    encoders = {"PNG": encode_png, "GIF": _encode_still_gif}
    if row.name in encoders:
        return encoders[row.name](photo)
    # Pillow writes the others; collect its options.
    array = frame_array(photo)
    options: dict[str, Any] = {}
    if row.name != "BMP":
        options = {"quality": quality, "icc_profile": photo.icc_profile or b"", "exif": photo.exif or b""}
    if row.name == "JPEG":
        options["subsampling"] = 0 if quality >= _FULL_CHROMA_QUALITY else 2
        options["extra"] = _xmp_segment(photo.xmp)  # Pillow has an option for XMP only from version 11 on
    elif row.name == "WEBP":
        options |= {"xmp": photo.xmp or b"", "lossless": photo.lossless, "exact": photo.lossless}
    elif row.name == "AVIF":
        options |= {"xmp": photo.xmp or b""}
        if array.shape[2] >= 3:
            options["subsampling"] = "4:4:4" if quality >= _FULL_CHROMA_QUALITY else "4:2:0"
    if photo.dpi and "dpi" in row.metadata:
        options["dpi"] = tuple(min(max(round(dpi), 1), 65535) for dpi in photo.dpi)
    buffer = io.BytesIO()
    Image.fromarray(flat_if_grey(array)).save(buffer, row.name, **options)
    return buffer.getvalue()


def _encode_still_gif(photo: Photo) -> bytes:
    return encode_gif(Animation((photo,), (0.0,), loop=1))


def _xmp_segment(xmp: bytes | None) -> bytes:
    return b"\xff\xe1" + struct.pack(">H", len(xmp) + len(_XMP_MARKER) + 2) + _XMP_MARKER + xmp if xmp else b""
