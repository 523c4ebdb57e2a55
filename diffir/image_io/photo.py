"""What an image file holds, as values: a still photo or an animation, and how large it may be.

In and out: arrays H x W x C, RGB or grey, upright, in the file's own depth; metadata as the bytes the file had. The
limit on pixels is tested on headers, before anything is decoded: a file of 100 bytes can claim 3.6 billion pixels.
"""

from dataclasses import dataclass, replace

import numpy as np

from diffir.errors import ImageError

MAX_PIXELS = 500_000_000
"""Over all frames. The largest cameras (multi-shot, 400 megapixels) pass; in float32 RGB that is 6 GB."""


@dataclass(frozen=True, eq=False)
class Photo:
    """What a file holds, upright."""

    pixels: np.ndarray
    """H x W x C with C = 3 (RGB) or 1 (grey); uint8, uint16 or float32."""
    alpha: np.ndarray | None = None
    """H x W, the type of ``pixels``; None: opaque."""
    icc_profile: bytes | None = None
    """Of the space ``pixels`` are in; None: sRGB is meant."""
    exif: bytes | None = None
    r"""Begins with ``b"Exif\0\0"``, whatever the format; a TIFF's header and directories follow.

    As the file had it, but for the orientation (1) and the thumbnail (taken out).
    """
    xmp: bytes | None = None
    """As the file had it, but for the orientation (1)."""
    dpi: tuple[float, float] | None = None
    """Pixels an inch, across and down."""
    note: str = ""
    """What reading had to convert or leave out, in words; empty if nothing."""
    lossless: bool = False
    """The file was a lossless WebP; writing WebP keeps every pixel then."""


@dataclass(frozen=True, eq=False)
class Animation:
    """Whole frames of one size, channels and type; metadata and note are those of the first."""

    frames: tuple[Photo, ...]
    durations_ms: tuple[float, ...]
    """How long each frame is shown."""
    loop: int = 0
    """How often it plays; 0: for ever."""


@dataclass(frozen=True)
class Limits:
    """What a reader accepts."""

    max_pixels: int = MAX_PIXELS
    animations: bool = True

    def check(self, width: int, height: int, frames: int = 1) -> None:
        """Refuse what a header announces.

        Raises:
            ImageError: no pixels at all, more than ``max_pixels``, or an animation where none is wanted.
        """
        if frames > 1 and not self.animations:
            raise ImageError(f"an animation of {frames} frames; only still images can be restored")
        if width < 1 or height < 1:
            raise ImageError(f"damaged: its header says {width} x {height} pixels")
        if width * height * frames > self.max_pixels:
            times = f" x {frames} frames" if frames > 1 else ""
            raise ImageError(
                f"{width} x {height}{times} is more than {self.max_pixels} pixels; --max_pixels raises that limit"
            )


def flat_if_grey(array: np.ndarray) -> np.ndarray:
    """H x W x C -> H x W for one channel, as Pillow and tifffile want it; a height or width of 1 stays."""
    return array[:, :, 0] if array.shape[2] == 1 else array


def without_metadata(photo: Photo) -> Photo:
    """The photo without EXIF, XMP and resolution.

    A colour profile stays unless it is sRGB's, which is what a file without one means: without it colours would change.
    """
    is_srgb = photo.icc_profile is not None and _describes_srgb(photo.icc_profile)
    return replace(photo, exif=None, xmp=None, dpi=None, icc_profile=None if is_srgb else photo.icc_profile)


def _describes_srgb(profile: bytes) -> bool:
    """By the profile's name, which is 8 or 16 bit text; bytes 16-19 say that it is one of RGB (ICC.1, 7.2)."""
    return profile[16:20] == b"RGB " and (b"sRGB" in profile or "sRGB".encode("utf-16-be") in profile)
