"""The values that reading an image file yields: a still photo, an animation or pages, and the limit on their size.

Pixels are arrays H x W x C, RGB or grey, upright, in the file's own depth; metadata are the bytes of the file. The
limit on pixels is checked against headers before anything is decoded: a file of 100 bytes can claim 3.6 billion pixels.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import TypeAlias

import numpy as np

from diffir.errors import ImageError

MAX_PIXELS = 500_000_000
"""Default limit over all frames. It admits the largest cameras (400 megapixels); 500 take 6 GB as float32 RGB."""


@dataclass(frozen=True, eq=False)
class Photo:
    """A still photo, turned upright, with its metadata."""

    pixels: np.ndarray
    """H x W x C with C = 3 (RGB) or 1 (grey); uint8, uint16 or float32."""
    alpha: np.ndarray | None = None
    """H x W of the type of ``pixels``, not multiplied into the colours; None means opaque."""
    icc_profile: bytes | None = None
    """ICC profile of the colour space of ``pixels``; None means sRGB."""
    exif: bytes | None = None
    r"""The EXIF block: ``b"Exif\0\0"`` for every format, then the header and directories of a TIFF.

    It is the file's own, except that the orientation is 1 and the thumbnail is removed.
    """
    xmp: bytes | None = None
    """The XMP packet of the file, except that the orientation is 1."""
    dpi: tuple[float, float] | None = None
    """Resolution in pixels per inch, horizontal and vertical."""
    note: str = ""
    """Describes what was converted or left out in reading; empty if nothing was."""
    lossless: bool = False
    """True if the file was a lossless WebP; writing it as WebP is lossless, too."""
    colour_chunks: Mapping[str, bytes] | None = None
    """Contents of the PNG chunks that state colour space and brightness (cICP, sRGB, gAMA, cHRM, mDCV, cLLI)."""
    infrared: np.ndarray | None = None
    """H x W of the type of ``pixels``: one more channel of a TIFF, which film scanners use for infrared light."""


@dataclass(frozen=True, eq=False)
class Animation:
    """Whole frames of one size, number of channels and type; the first one holds metadata and note."""

    frames: tuple[Photo, ...]
    durations_ms: tuple[float, ...]
    """How long each frame is shown, in milliseconds."""
    loop: int = 0
    """How often the animation is shown; 0 means without end."""


@dataclass(frozen=True, eq=False)
class Pages:
    """The pages of a TIFF, each a photo of its own size and kind with metadata of its own."""

    frames: tuple[Photo, ...]


Content: TypeAlias = Photo | Animation | Pages
"""What a file holds."""


def frames_of(content: Content) -> tuple[Photo, ...]:
    """Return the frames of an animation, the pages of a TIFF, or a still photo as the only one."""
    return (content,) if isinstance(content, Photo) else content.frames


@dataclass(frozen=True)
class Limits:
    """Limits on the files that a reader accepts: the number of pixels, and whether animations are allowed."""

    max_pixels: int = MAX_PIXELS
    animations: bool = True

    def check(self, width: int, height: int, frames: int = 1) -> None:
        """Check the size in pixels and the number of frames that a header states.

        Raises:
            ImageError: no pixels at all, more than ``max_pixels``, or an animation where only stills are allowed.
        """
        if frames > 1 and not self.animations:
            raise ImageError(f"an animation of {frames} frames; only still images are read here")
        if width < 1 or height < 1:
            raise ImageError(f"damaged: its header says {width} x {height} pixels")
        if width * height * frames > self.max_pixels:
            times = f" x {frames} frames" if frames > 1 else ""
            raise ImageError(
                f"{width} x {height}{times} is more than {self.max_pixels} pixels; --max_pixels raises that limit"
            )


def flat_if_grey(array: np.ndarray) -> np.ndarray:
    """Drop the channel axis of a grey array H x W x 1, as Pillow and tifffile expect; other arrays stay."""
    return array[:, :, 0] if array.shape[2] == 1 else array


def without_metadata(photo: Photo) -> Photo:
    """Return the photo without EXIF, XMP and resolution.

    A colour profile other than sRGB's and the colour chunks of a PNG stay: a file without them means sRGB, so colours
    would change.
    """
    is_srgb = photo.icc_profile is not None and _describes_srgb(photo.icc_profile)
    return replace(photo, exif=None, xmp=None, dpi=None, icc_profile=None if is_srgb else photo.icc_profile)


def _describes_srgb(profile: bytes) -> bool:
    """Return whether an RGB profile (bytes 16-19; ICC.1, 7.2) has "sRGB" in its name, which is 8 or 16 bit text."""
    return profile[16:20] == b"RGB " and (b"sRGB" in profile or "sRGB".encode("utf-16-be") in profile)
