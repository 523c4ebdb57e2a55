"""Read HEIC, JPEG XL and camera raw files with optional packages, which are imported only for such files.

In: a file's bytes. Out: the photo, which these decoders have already turned upright. It has 16 bit if the file has
more than 8. Raw files are developed to 16 bit with the camera's white balance in sRGB. Sizes are checked before pixels
are decoded. Source: ISO 18181-1, 8.2 (the header of JPEG XL); LibRaw.
"""

import io
from importlib import import_module
from types import ModuleType

import numpy as np

from diffir.errors import ImageError, MissingDependency
from diffir.image_io.by_pillow import read_by_pillow
from diffir.image_io.metadata import EXIF_PREFIX, exif_of_tiff
from diffir.image_io.packed_size import check_file
from diffir.image_io.photo import Animation, Limits, Photo
from diffir.image_io.upright import upright_photo

_JXL_RATIOS = {1: (1, 1), 2: (12, 10), 3: (4, 3), 4: (3, 2), 5: (16, 9), 6: (5, 4), 7: (2, 1)}
_TIFF_BEGINNINGS = (b"II*\0", b"MM\0*")
_CHANNELS = {"L": 1, "LA": 2, "RGB": 3, "RGBA": 4}


def read_heif(content: bytes, limits: Limits) -> Photo:
    """Read the main picture of a HEIC or HEIF file."""
    pillow_heif = _package("pillow_heif", "pillow-heif", "reading HEIC and HEIF", "heif")
    heif = pillow_heif.open_heif(io.BytesIO(content), convert_hdr_to_8bit=False)
    limits.check(*heif.size)
    check_file(content, "HEIF", *heif.size)
    notes = [f"the main one of {len(heif)} pictures"] if len(heif) > 1 else []
    array = np.atleast_3d(np.asarray(heif))
    mode, _, depth = heif.mode.partition(";")
    if mode not in ("L", "LA", "RGB", "RGBA", "I"):
        raise ImageError(f"pixels of mode {heif.mode}; grey and RGB can be read")
    if depth and array.dtype != np.uint16:
        raise ImageError(f"pixels of mode {heif.mode} and type {array.dtype}")
    return upright_photo(
        array,
        is_grey=array.shape[2] < 3,
        orientation=1,
        icc_profile=heif.info.get("icc_profile"),
        exif=heif.info.get("exif"),
        xmp=heif.info.get("xmp"),
        note=", ".join(notes),
    )


def read_jxl(content: bytes, limits: Limits) -> Photo | Animation:
    """Read the photo in a JPEG XL file; a JPEG that was repacked without loss is read as that JPEG."""
    pillow_jxl = _package("pillow_jxl", "pillow-jxl-plugin", "reading JPEG XL", "jxl")
    limits.check(*_size_of_jxl(content))
    check_file(content, "JXL", *_size_of_jxl(content))
    is_jpeg, header, decoded, icc_profile, boxes = pillow_jxl.Decoder(num_threads=-1)(content)
    if is_jpeg:
        return read_by_pillow(decoded, "JPEG", limits)
    array = _jxl_array(decoded, header.width, header.height, header.mode)
    found = {box.box_type: box.data for box in boxes}
    return upright_photo(
        array,
        is_grey=array.shape[2] < 3,
        orientation=1,
        icc_profile=icc_profile,
        exif=_jxl_exif(found.get(b"Exif")),
        xmp=found.get(b"xml "),
    )


def read_raw(content: bytes, limits: Limits) -> Photo:
    """Read a camera raw file and develop it to 16-bit sRGB."""
    rawpy = _package("rawpy", "rawpy", "reading camera raw files", "raw")
    with rawpy.imread(io.BytesIO(content)) as raw:
        limits.check(raw.sizes.width, raw.sizes.height)
        array = raw.postprocess(output_bps=16, use_camera_wb=True, output_color=rawpy.ColorSpace.sRGB)
    exif = exif_of_tiff(content) if content.startswith(_TIFF_BEGINNINGS) else None
    note = "raw developed with the camera's white balance to sRGB"
    return upright_photo(array, is_grey=array.shape[2] < 3, orientation=1, exif=exif, note=note)


def _package(module: str, package: str, purpose: str, extra: str) -> ModuleType:
    try:
        return import_module(module)
    except ImportError as error:
        raise MissingDependency(package, purpose, extra) from error


def _jxl_array(decoded: bytes, width: int, height: int, mode: str) -> np.ndarray:
    """Return decoded bytes as H x W x C of uint8, uint16 or float32.

    The decoder does not state the depth; it follows from the number of bytes (1, 2 or 4 per sample).
    """
    channels = _CHANNELS.get(mode.partition(";")[0], 1)
    size = len(decoded) // (width * height * channels)
    if len(decoded) != width * height * channels * size or size not in (1, 2, 4):
        raise ImageError(f"pixels of mode {mode}; grey and RGB can be read")
    is_half = mode == "F;16"
    dtype = np.float16 if is_half else {1: np.uint8, 2: np.uint16, 4: np.float32}[size]
    array = np.frombuffer(decoded, dtype).reshape(height, width, channels)
    if array.dtype.kind == "f":
        array = array.astype(np.float32)
        if not np.isfinite(array).all():
            raise ImageError("pixels that are no numbers (NaN or infinite); replace them first")
    return array


def _jxl_exif(box: bytes | None) -> bytes | None:
    """Return the EXIF block in a box, which may begin with an offset of four bytes; None if there is none."""
    if not box:
        return None
    block = box[4:] if box[4:8] in _TIFF_BEGINNINGS else box
    return EXIF_PREFIX + block if block.startswith(_TIFF_BEGINNINGS) else None


def _size_of_jxl(content: bytes) -> tuple[int, int]:
    """Return width and height from the size header of a stream or of a container; its lowest bits come first."""
    head = content[2:14] if content.startswith(b"\xff\x0a") else _jxl_stream(content)
    bits = int.from_bytes(head, "little")
    if len(head) < 10:
        raise ImageError("damaged or truncated (no header)")
    is_small, bits = bits & 1, bits >> 1
    # The width follows from the height where the header names a common ratio.
    height, bits = _jxl_length(bits, is_small)
    ratio, bits = bits & 7, bits >> 3
    if ratio:
        over, under = _JXL_RATIOS[ratio]
        return height * over // under, height
    return _jxl_length(bits, is_small)[0], height


def _jxl_length(bits: int, is_small: int) -> tuple[int, int]:
    """Decode a width or a height in pixels; return it and the bits that follow it."""
    if is_small:
        return ((bits & 31) + 1) * 8, bits >> 5
    count = (9, 13, 18, 30)[bits & 3]
    return (bits >> 2 & (1 << count) - 1) + 1, bits >> 2 + count


def _jxl_stream(content: bytes) -> bytes:
    """Return 12 bytes after the signature of the stream in a container's first jxlc or jxlp box."""
    at = 0
    while at + 8 <= len(content):
        length, kind = int.from_bytes(content[at : at + 4], "big"), content[at + 4 : at + 8]
        head = 16 if length == 1 else 8
        if length == 1:
            length = int.from_bytes(content[at + 8 : at + 16], "big")
        if kind in (b"jxlc", b"jxlp"):
            start = at + head + (4 if kind == b"jxlp" else 0)
            return content[start + 2 : start + 14] if content[start : start + 2] == b"\xff\x0a" else b""
        if length < head:
            break
        at += length
    return b""
