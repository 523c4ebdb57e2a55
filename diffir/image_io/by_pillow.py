"""Read JPEG, WebP, BMP, GIF, AVIF, JPEG 2000 and unusual TIFFs with Pillow.

In: a file's bytes and the name of its format. Out: a photo or an animation of 8-bit pixels. JPEG 2000 of more than 8
bit is decoded by OpenCV, since Pillow would reduce it to 8. Only the named format is tried, because some formats that
Pillow supports start other programs (PostScript). For 8-bit files Pillow and OpenCV give the same bits, but only
Pillow refuses truncated files.
"""

import io
import struct
from importlib.util import find_spec

import cv2
import numpy as np
from PIL import Image

from diffir.errors import ImageError
from diffir.image_io.animation import read_frames
from diffir.image_io.colour import plain_array
from diffir.image_io.metadata import EXIF_PREFIX
from diffir.image_io.packed_size import check_file
from diffir.image_io.photo import Animation, Limits, Photo
from diffir.image_io.upright import Carried, upright_photo

_PHOTOSHOP = b"Photoshop 3.0\0"  # a segment with this name holds IPTC
_EXTENDED_XMP = b"http://ns.adobe.com/xmp/extension/\0"


def read_by_pillow(content: bytes, kind: str, limits: Limits) -> Photo | Animation:
    """Read the photo or the animation in a file of format ``kind``, which is Pillow's name of the format."""
    # Check before opening: Pillow allocates the canvas of a WebP as it opens the file.
    if kind == "WEBP":
        limits.check(*_webp_canvas(content))
        check_file(content, kind, *_webp_canvas(content))
    if kind == "AVIF" and find_spec("PIL._avif") is None:
        raise ImageError("AVIF needs Pillow 11.3 or later: pip install --upgrade pillow")
    with Image.open(io.BytesIO(content), formats=[kind]) as image:
        # Read the header and the metadata.
        limits.check(*image.size)
        check_file(content, kind, *image.size)
        frames = getattr(image, "n_frames", 1)
        carried = _carried(image, content, kind)
        if frames > 1 and kind == "AVIF":
            raise ImageError(f"an AVIF sequence of {frames} frames; only still AVIF images can be read")
        if frames > 1 and kind in ("GIF", "WEBP"):
            limits.check(*image.size, frames)
            return read_frames(image, limits, carried)
        # Decode a still picture.
        array, note = _deep_or_plain(image, content) if kind == "JPEG2000" else plain_array(image)
        if image.mode in ("CMYK", "LAB"):
            carried["icc_profile"] = None  # the pixels are sRGB now
        carried["note"] = ", ".join(filter(None, [carried["note"], note]))
    return upright_photo(array, is_grey=array.shape[2] < 3, **carried)


def _deep_or_plain(image: Image.Image, packed: bytes) -> tuple[np.ndarray, str]:
    """Return the pixels H x W x C of a JPEG 2000 file, and a note on conversions."""
    bits = _bits_of_jpeg2000(packed)
    if bits <= 8:
        return plain_array(image)
    array = cv2.imdecode(np.frombuffer(packed, np.uint8), cv2.IMREAD_UNCHANGED)
    if array is None or array.dtype != np.uint16 or array.shape[:2] != (image.height, image.width):
        array, note = plain_array(image)
        return array, ", ".join(filter(None, [note, f"{bits} bit read as 8 bit"]))
    array = np.atleast_3d(array)
    if bits < 16:  # OpenCV does not scale the values to 16 bit
        array = np.rint(array * np.float32(65535 / (2**bits - 1))).astype(np.uint16)
    order = {1: [0], 3: [2, 1, 0], 4: [2, 1, 0, 3]}[array.shape[2]]
    return array[:, :, order], ""


def _bits_of_jpeg2000(content: bytes) -> int:
    """Return the bits of the first component, from the size marker of the stream (ISO 15444-1, A.5.1)."""
    at = content.find(b"\xff\x4f\xff\x51")
    return (content[at + 42] & 127) + 1 if 0 <= at < len(content) - 42 else 8


def _carried(image: Image.Image, content: bytes, kind: str) -> Carried:
    """Return the metadata as stored in the file, and notes on what is left out."""
    exif = image.info.get("exif")
    xmp = image.info.get("xmp")
    # Note what else the file holds.
    notes = []
    if kind == "JPEG":
        segments = getattr(image, "applist", [])
        if any(segment.startswith(_EXTENDED_XMP) for _, segment in segments):
            notes.append("the second part of a long XMP left out")
        if any(segment.startswith(_PHOTOSHOP) for _, segment in segments):
            notes.append("IPTC left out")
        if "comment" in image.info:
            notes.append("comment left out")
        if image.format == "MPO":
            notes.append(f"the first of {image.n_frames} pictures")  # type: ignore[attr-defined]
    if kind == "AVIF" and _is_deep_avif(content):
        notes.append("more than 8 bit read as 8 bit")
    return {
        "icc_profile": image.info.get("icc_profile"),
        "exif": exif if isinstance(exif, bytes) and len(exif) > len(EXIF_PREFIX) else None,
        "xmp": xmp.encode() if isinstance(xmp, str) else xmp,
        "dpi": _dpi(image, kind),
        "note": ", ".join(notes),
        "lossless": kind == "WEBP" and _is_lossless_webp(content),
    }


def _dpi(image: Image.Image, kind: str) -> tuple[float, float] | None:
    """Return the resolution that the format itself stores; one in EXIF is kept within EXIF."""
    if kind == "JPEG":
        across, down = image.info.get("jfif_density", (0, 0))
        an_inch = {1: 1.0, 2: 2.54}.get(image.info.get("jfif_unit", 0), 0.0)
    else:
        (across, down), an_inch = image.info.get("dpi", (0, 0)), float(kind == "BMP")
    return (across * an_inch, down * an_inch) if an_inch and across > 0 and down > 0 else None


def _webp_canvas(content: bytes) -> tuple[int, int]:
    """Return width and height from the first chunk (WebP container and bitstream specifications)."""
    kind, head = content[12:16], content[20:30]
    if len(head) < 10:
        raise ImageError("damaged or truncated (no header)")
    if kind == b"VP8X":
        return int.from_bytes(head[4:7], "little") + 1, int.from_bytes(head[7:10], "little") + 1
    if kind == b"VP8L":
        bits = int.from_bytes(head[1:5], "little")
        return (bits & 0x3FFF) + 1, (bits >> 14 & 0x3FFF) + 1
    width, height = struct.unpack("<2H", head[6:10])
    return width & 0x3FFF, height & 0x3FFF


def _is_deep_avif(content: bytes) -> bool:
    """Return whether an AVIF has more than 8 bit: a flag in the codec's box (AV1 in ISO media files, 2.3.3)."""
    at = content.find(b"av1C")
    return 0 <= at < len(content) - 7 and bool(content[at + 6] & 0x40)


def _is_lossless_webp(content: bytes) -> bool:
    """Return whether every picture in a WebP file is lossless, that is, a VP8L chunk."""
    kinds = set()
    at = 12
    while at + 8 <= len(content):
        kind, length = struct.unpack_from("<4sI", content, at)
        if kind == b"ANMF":  # 16 bytes about the frame, then its own chunks
            at += 24
            continue
        kinds.add(kind)
        at += 8 + length + length % 2
    return b"VP8L" in kinds and b"VP8 " not in kinds
