"""Determine what of a photo is lost in a file format, and choose a format that keeps depth, alpha, size and frames.

In: a photo or an animation, and a suffix. Out: the photo as a file of that suffix holds it, a description of the
losses, or a suffix. The writer and the description agree because both use ``as_held``.
"""

from dataclasses import fields, replace

import numpy as np
from PIL import Image

from diffir.image_io.formats import Format, format_of
from diffir.image_io.photo import Animation, Content, Pages, Photo, flat_if_grey, frames_of
from diffir.image_io.png_colour import other_than_srgb
from diffir.pixels import to_float, to_kind

_FIELD_NAMES = {"icc_profile": "ICC profile", "exif": "EXIF", "xmp": "XMP", "dpi": "resolution", "colour_chunks": ""}
_DEPTH_NAMES = {"uint8": "8 bit", "uint16": "16 bit", "float32": "float", "float64": "float"}
_GIF_COLOURS = 256
_TIME_UNITS = {"GIF": 10, "WEBP": 1}  # milliseconds


def as_held(photo: Photo, row: Format) -> Photo:
    """Convert a photo to what a file of the format holds: the nearest depth, and only the metadata it can store."""
    changes: dict = {name: None for name in _FIELD_NAMES if _is_lost(photo, name, row)}
    if photo.alpha is not None:
        changes["alpha"] = _in_depth(photo.alpha, row) if row.has_alpha else None
    if photo.infrared is not None:
        changes["infrared"] = _in_depth(photo.infrared, row) if row.has_pages else None
    return replace(photo, pixels=_in_depth(photo.pixels, row), **changes)


def describe_losses(photo: Content, suffix: str) -> str:
    """Describe in a few words what a file of that suffix cannot hold; empty if nothing is lost."""
    row = format_of(suffix)
    if row is None or not row.can_write:
        return ""
    # Each page is a photo of its own.
    if isinstance(photo, Pages):
        return ", ".join(dict.fromkeys(filter(None, (describe_losses(page, suffix) for page in photo.frames))))
    # Compare frames, depth and colours.
    frames = frames_of(photo)
    losses = ["no animation"] if len(frames) > 1 and not row.has_frames else []
    before, after = frames[0], as_held(frames[0], row)
    depths = [_DEPTH_NAMES.get(array.dtype.name, array.dtype.name) for array in (before.pixels, after.pixels)]
    if depths[0] != depths[1]:
        losses.append(f"{depths[0]} became {depths[1]}")
    if row.name == "GIF":
        losses += _gif_losses(frames)
    # Compare alpha and metadata.
    names = [field.name for field in fields(Photo)]
    lost = [name for name in names if getattr(before, name) is not None and getattr(after, name) is None]
    others = other_than_srgb(before.colour_chunks or {}, has_profile=before.icc_profile is not None)
    if "colour_chunks" in lost:
        lost.remove("colour_chunks")
        losses += [f"colour space other than sRGB ({' and '.join(others)}) dropped"] if others else []
    losses += [f"{_FIELD_NAMES.get(name, name)} dropped{_reason(before, name, row)}" for name in lost]
    # Compare the times of frames.
    unit = _TIME_UNITS.get(row.name, 0)
    if isinstance(photo, Animation) and unit and any(ms % unit for ms in photo.durations_ms):
        losses.append(f"times rounded to {unit} ms")
    return ", ".join(losses)


def kept_suffix(photo: Content, suffix: str) -> str:
    """Return the suffix if its format holds depth, alpha, size and frames; else ``.png``, or ``.tif``.

    A still photo is never written as GIF, which has only 256 colours; an animation stays a GIF.
    """
    row = format_of(suffix)
    if row is not None and not row.can_write and row.name == "JPEG":
        suffix, row = ".jpg", format_of(".jpg")
    if row is not None and row.can_write and _fits(photo, row):
        return suffix
    is_still_float = isinstance(photo, Photo) and photo.pixels.dtype.kind == "f"
    return ".tif" if is_still_float or isinstance(photo, Pages) else ".png"


def _fits(photo: Content, row: Format) -> bool:
    if isinstance(photo, Pages):
        return row.has_pages and all(_fits(page, row) for page in photo.frames)
    first = frames_of(photo)[0]
    moves = isinstance(photo, Animation)
    if row.name == "GIF" and not moves:
        return False
    has_depth = first.pixels.dtype in row.depths or (first.pixels.dtype.kind == "f" and row.name == "TIFF")
    is_small = max(first.pixels.shape) <= row.largest_side
    return has_depth and is_small and (row.has_frames or not moves) and (row.has_alpha or first.alpha is None)


def _is_lost(photo: Photo, name: str, row: Format) -> bool:
    value = getattr(photo, name)
    if value is None:
        return False
    too_long = name in row.longest and len(value) > row.longest[name]
    return name not in row.metadata or too_long or (name == "icc_profile" and not _profile_fits(photo))


def _profile_fits(photo: Photo) -> bool:
    """Return whether the profile suits the channels (ICC.1, 7.2.6); an RGB profile is kept for grey photos, too."""
    space = (photo.icc_profile or b"")[16:20]
    return space not in (b"CMYK", b"Lab ") and not (space == b"GRAY" and photo.pixels.shape[2] == 3)


def _reason(photo: Photo, name: str, row: Format) -> str:
    if name == "icc_profile" and name in row.metadata and not _profile_fits(photo):
        return " (of another kind of colour)"
    if name in row.longest and len(getattr(photo, name)) > row.longest[name]:
        return f" (longer than {row.longest[name]} bytes)"
    return ""


def _in_depth(array: np.ndarray, row: Format) -> np.ndarray:
    if array.dtype in row.depths:
        return array
    floats = [depth for depth in row.depths if depth.kind == "f"]
    if array.dtype.kind == "f" and floats:
        return array.astype(floats[0])
    return to_kind(to_float(array), row.depths[-1] if not floats else row.depths[-2])


def _gif_losses(frames: tuple[Photo, ...]) -> list[str]:
    losses = []
    if any(_has_more_colours(frame) for frame in frames):
        losses.append(f"colours reduced to {_GIF_COLOURS}")
    if any(frame.alpha is not None and not np.isin(to_float(frame.alpha), (0, 1)).all() for frame in frames):
        losses.append("alpha reduced to one bit")
    return losses


def _has_more_colours(photo: Photo) -> bool:
    if photo.pixels.dtype != np.uint8:
        return True
    free = _GIF_COLOURS - (photo.alpha is not None)
    image = Image.fromarray(flat_if_grey(photo.pixels))
    return image.getcolors(free) is None
