"""The table of image formats: their suffixes, how their bytes begin, and what a file of each can hold.

In: a suffix, or the first bytes of a file. Out: a row of the table, or a format name. The content of a file decides its
format, not its name. Camera raw files are the exception: their bytes look like TIFF, so their suffix decides.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from importlib.util import find_spec
from pathlib import Path

import numpy as np

_BYTES, _DEEP, _FLOAT = np.dtype(np.uint8), np.dtype(np.uint16), np.dtype(np.float32)
_ALL_METADATA = ("icc_profile", "exif", "xmp", "dpi")
_PNG_METADATA = (*_ALL_METADATA, "colour_chunks")
# A marker holds 65533 bytes, of which 29 are XMP's name; profiles go in at most 255 pieces (ICC.1:2010, annex B.4).
_LONGEST_IN_JPEG = {"exif": 65533, "xmp": 65533 - 29, "icc_profile": 255 * (65533 - 14)}


@dataclass(frozen=True)
class Format:
    """Properties of one image format: its names, and what a file of it can hold."""

    name: str
    """The name that Pillow uses for the format."""
    suffixes: tuple[str, ...]
    """File name suffixes with their dot, the usual one first."""
    can_write: bool = False
    depths: tuple[np.dtype, ...] = (_BYTES,)
    has_alpha: bool = False
    has_frames: bool = False
    metadata: tuple[str, ...] = ()
    """Names of the metadata fields of ``Photo`` that a file can hold."""
    largest_side: int = 2**31 - 1
    """Largest width or height in pixels."""
    longest: Mapping[str, int] = field(default_factory=dict)
    """Largest size of metadata in bytes, by field of ``Photo``; fields without an entry have no practical limit."""
    has_pages: bool = False
    """True if a file may hold several pages, and a channel for infrared light."""
    is_plugin: bool = False
    """Reading this format needs an optional package."""


_FORMATS = (
    Format("PNG", (".png",), True, (_BYTES, _DEEP), True, True, _PNG_METADATA),
    Format("JPEG", (".jpg", ".jpeg"), True, metadata=_ALL_METADATA, largest_side=65500, longest=_LONGEST_IN_JPEG),
    Format("WEBP", (".webp",), True, has_alpha=True, has_frames=True, metadata=_ALL_METADATA[:3], largest_side=16383),
    Format("BMP", (".bmp",), True, metadata=("dpi",)),
    Format("TIFF", (".tif", ".tiff"), True, (_BYTES, _DEEP, _FLOAT), True, has_pages=True, metadata=_ALL_METADATA),
    Format("GIF", (".gif",), True, has_alpha=True, has_frames=True, largest_side=65535),
    Format(
        "AVIF",
        (".avif",),
        can_write=find_spec("PIL._avif") is not None,  # from Pillow 11.3
        has_alpha=True,
        metadata=_ALL_METADATA[:3],
        largest_side=65535,
    ),
    Format("JPEG", (".jfif", ".mpo")),  # MPO: several JPEGs, such as the two views of a stereo camera
    Format("JPEG2000", (".jp2",)),
    Format("PPM", (".pgm", ".pnm", ".ppm")),
    Format("HEIF", (".heic", ".heif"), is_plugin=True),
    Format("JXL", (".jxl",), is_plugin=True),
    Format("RAW", (".dng", ".cr2", ".cr3", ".nef", ".arw", ".orf", ".rw2", ".raf"), is_plugin=True),
)
_BY_SUFFIX = {suffix: row for row in _FORMATS for suffix in row.suffixes}

WRITABLE_SUFFIXES = tuple(suffix for suffix, row in _BY_SUFFIX.items() if row.can_write)
IMAGE_SUFFIXES = tuple(_BY_SUFFIX)

_BEGINNINGS = (
    (b"\x89PNG\r\n\x1a\n", "PNG"),
    (b"\xff\xd8\xff", "JPEG"),
    (b"GIF8", "GIF"),
    (b"BM", "BMP"),
    (b"II*\0", "TIFF"),
    (b"MM\0*", "TIFF"),
    (b"II+\0", "TIFF"),
    (b"MM\0+", "TIFF"),
    (b"\0\0\0\x0cjP  \r\n\x87\n", "JPEG2000"),
    (b"\xff\x4f\xff\x51", "JPEG2000"),
    (b"\xff\x0a", "JXL"),
    (b"\0\0\0\x0cJXL \r\n\x87\n", "JXL"),
)
_BRANDS = {b"avif": "AVIF", b"avis": "AVIF"} | dict.fromkeys(
    (b"heic", b"heix", b"hevc", b"hevx", b"heim", b"heis", b"hevm", b"hevs", b"mif1", b"msf1"), "HEIF"
)


def format_of(suffix: str) -> Format | None:
    """Return the row of a suffix (upper or lower case), or None if the suffix is unknown."""
    return _BY_SUFFIX.get(suffix.lower())


def kind_of(content: bytes, suffix: str) -> str:
    """Return the name of the format that the first bytes of a file show, or "" if it cannot be read."""
    # The suffix of a camera raw file decides, unless the content is a PNG or a JPEG under a wrong name.
    row = format_of(suffix)
    if row is not None and row.name == "RAW" and not content.startswith((b"\x89PNG", b"\xff\xd8\xff")):
        return "RAW"
    if content[:4] == b"RIFF" and content[8:12] == b"WEBP":
        return "WEBP"
    if content[4:8] == b"ftyp":
        return _kind_of_brands(content)
    if content[:1] == b"P" and content[1:2] in b"123456" and content[2:3].isspace():
        return "PPM"
    return next((kind for beginning, kind in _BEGINNINGS if content.startswith(beginning)), "")


def list_images(folder: Path, *, recursive: bool = False, with_plugins: bool = True) -> list[Path]:
    """Return the image files of a folder, chosen by suffix and sorted; hidden files are left out.

    Args:
        recursive: include the folders below.
        with_plugins: include formats that need an optional package, such as camera raw files beside their JPEGs.
    """
    found: Iterable[Path] = folder.rglob("*") if recursive else folder.iterdir()
    wanted = {suffix for suffix, row in _BY_SUFFIX.items() if with_plugins or not row.is_plugin}
    return sorted(
        path for path in found if path.suffix.lower() in wanted and not path.name.startswith(".") and path.is_file()
    )


def _kind_of_brands(content: bytes) -> str:
    """Return AVIF or HEIF by the brands in the first box (ISO 14496-12, 4.3), or "" for other files."""
    length = int.from_bytes(content[:4], "big")
    brands = [content[8:12], *(content[at : at + 4] for at in range(16, min(length, 200), 4))]
    # AVIF files also list the general brands of HEIF, so AVIF goes first.
    kinds = {_BRANDS[brand] for brand in brands if brand in _BRANDS}
    return "AVIF" if "AVIF" in kinds else "HEIF" if kinds else ""
