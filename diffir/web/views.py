"""Pictures that the browser shows of files: bit for bit what a file holds, as PNG, and small ones for the list.

In: files of any format that diffir reads. Out: PNG files. A browser cannot show TIFF, and would not show what a JPEG
holds for us, since its decoder rounds differently. So the file is read as diffir reads it, and written without loss.
"""

from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np

from diffir.batch.own_mask import MaskKind
from diffir.errors import ImageError
from diffir.image_io import Content, Photo, frames_of, read_file, write_image
from diffir.pixels import as_rgb, to_float, to_kind, white

THUMBNAIL = 192  # longest side in pixels
LARGEST_CANVAS = 1600  # longest side in pixels of a photo to paint on; browsers paint slowly on larger ones


def write_view(path: Path, view: Path, *, max_pixels: int) -> tuple[int, int]:
    """Write the first frame of an image file as PNG with the same pixels, alpha and profile.

    Returns:
        Its width and height.
    Raises:
        ImageError: the file cannot be read or is larger than ``max_pixels``.
    """
    return write_view_of(read_file(path, max_pixels=max_pixels), view)


def write_view_of(content: Content, view: Path) -> tuple[int, int]:
    """Write the first frame of what was read from a file, as ``write_view`` does."""
    photo = replace(frames_of(content)[0], exif=None, xmp=None, dpi=None, infrared=None)
    if photo.pixels.dtype == np.float32:  # PNG holds whole numbers
        alpha = None if photo.alpha is None else to_kind(photo.alpha, np.dtype(np.uint16))
        photo = replace(photo, pixels=to_kind(photo.pixels, np.dtype(np.uint16)), alpha=alpha)
    write_image(view, photo)
    return photo.pixels.shape[1], photo.pixels.shape[0]


def write_small(content: Content, target: Path, side: int) -> None:
    """Write the first frame as PNG whose sides have at most ``side`` pixels, over white where it is transparent."""
    photo = frames_of(content)[0]
    pixels = to_float(as_rgb(photo.pixels))
    factor = min(1.0, side / max(pixels.shape[:2]))
    size = max(1, round(factor * pixels.shape[1])), max(1, round(factor * pixels.shape[0]))
    small = cv2.resize(pixels, size, interpolation=cv2.INTER_AREA)
    if photo.alpha is not None:
        opacity = cv2.resize(to_float(photo.alpha), size, interpolation=cv2.INTER_AREA)[:, :, None]
        small = small * opacity + (1 - opacity)
    write_image(target, Photo(to_kind(small, np.dtype(np.uint8)), icc_profile=photo.icc_profile))


def painted_mask(layers: list[np.ndarray], size: tuple[int, int]) -> np.ndarray | None:
    """The mask (H, W) uint8 of what was painted, 255 where something is missing; None if nothing was painted.

    Args:
        layers: each h x w x 4 RGBA, in the shape of the photo but perhaps smaller.
        size: width and height of the photo.
    """
    mask = np.zeros(size[::-1], np.uint8)
    for layer in layers:
        opacity = np.ascontiguousarray(layer[:, :, 3])
        # A pixel that the brush touched at all belongs to the hole: the mask must cover all of the damage.
        mask |= (cv2.resize(opacity, size, interpolation=cv2.INTER_LINEAR) > 0).astype(np.uint8) * 255
    return mask if mask.any() else None


def read_mask(path: Path, size: tuple[int, int]) -> np.ndarray:
    """The mask (H, W) uint8 in a file, 255 above 0.

    Raises:
        ImageError: the file cannot be read or has another size than the photo.
    """
    pixels = frames_of(read_file(path, max_pixels=size[0] * size[1]))[0].pixels
    if pixels.shape[1::-1] != size:
        raise ImageError(f"the mask is {pixels.shape[1]} x {pixels.shape[0]} and the photo {size[0]} x {size[1]}")
    return (pixels.max(axis=2) > 0).astype(np.uint8) * 255


def own_mask(content: Content) -> MaskKind | None:
    """The channel in which a photo says what is missing: infrared of a film scan, or alpha with transparent parts."""
    photo = frames_of(content)[0]
    if photo.infrared is not None:
        return "infrared"
    return "alpha" if photo.alpha is not None and (photo.alpha < white(photo.alpha.dtype)).any() else None
