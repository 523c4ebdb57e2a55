"""Read PNG files: this module parses the chunks, Pillow decodes the pixels.

In: a file's bytes. Out: a photo or an animation, in the file's depth, with its metadata byte for byte. Pillow gets only
the chunks that define the picture, after their checksums are verified, so that a broken text or profile does no harm.
By itself Pillow reduces 16-bit colour to 8, so it decodes such files twice, once for the upper and once for the lower
bytes. Source: PNG specification, third edition, sections 5, 11 and 12.
"""

import io
import struct
import zlib
from collections.abc import Iterator
from dataclasses import dataclass, field

import numpy as np
from PIL import Image

from diffir.errors import ImageError
from diffir.image_io.animation import read_frames
from diffir.image_io.colour import blocks_of_rows, plain_array
from diffir.image_io.metadata import EXIF_PREFIX
from diffir.image_io.packed_size import check_enough
from diffir.image_io.photo import Animation, Limits, Photo
from diffir.image_io.png_colour import KINDS, colour_chunks
from diffir.image_io.upright import Carried, upright_photo

SIGNATURE = b"\x89PNG\r\n\x1a\n"
XMP_KEYWORD = b"XML:com.adobe.xmp"
INCHES_A_METRE = 1 / 0.0254
_PICTURE = (b"IHDR", b"PLTE", b"tRNS", b"IDAT", b"IEND")
_FRAMES = (b"acTL", b"fcTL", b"fdAT")
_RAW_PROFILES = {b"Raw profile type exif": b"eXIf", b"Raw profile type APP1": b"eXIf", b"Raw profile type xmp": b"xmp"}
_LONGEST_METADATA = 64 * 2**20  # unpacked bytes, against zip bombs; the largest profiles have a few million
_GREY, _RGB, _GREY_ALPHA, _RGBA = 0, 2, 4, 6  # colour types
_SAMPLES = {_RGB: 3, _GREY_ALPHA: 2, _RGBA: 4}  # per pixel; other types have one


@dataclass
class _Chunks:
    """The chunks of a file, sorted by their use."""

    picture: list[memoryview] = field(default_factory=list)
    with_frames: list[memoryview] = field(default_factory=list)
    metadata: dict[bytes, bytes] = field(default_factory=dict)
    """Unpacked content by the kind of chunk; XMP has the key ``xmp``."""
    has_pixels: bool = False
    frames: int = 0
    left_out: list[str] = field(default_factory=list)


def read_png(content: bytes, limits: Limits) -> Photo | Animation:
    """Read the photo or the animation in a PNG file."""
    # Parse the chunks, and check the size before pixels are decoded.
    chunks = _sort_chunks(content)
    del content
    width, height, depth, colour_type = struct.unpack_from(">IIBB", chunks.metadata[b"IHDR"])
    limits.check(width, height, max(chunks.frames, 1))
    bits = width * height * depth * _SAMPLES.get(colour_type, 1)
    check_enough(bits // 8, sum(len(part) for part in chunks.picture if part[4:8] == b"IDAT"), "deflate")
    # Decode the frames of an animation, or the pixels of a still.
    if chunks.frames > 1:
        with Image.open(io.BytesIO(b"".join([SIGNATURE, *chunks.with_frames])), formats=["PNG"]) as image:
            if depth == 16:
                chunks.left_out.append("16-bit frames read as 8 bit")
            return read_frames(image, limits, _carried(chunks))
    array = _deep_pixels(chunks, colour_type) if depth == 16 else _plain_pixels(chunks)
    return upright_photo(array, is_grey=array.shape[2] < 3, **_carried(chunks))


def chunk(kind: bytes, content: bytes) -> bytes:
    """Return one chunk as bytes: length, kind, content and checksum (section 5.3)."""
    return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(content, zlib.crc32(kind)))


def _iterate_chunks(content: bytes) -> Iterator[tuple[bytes, memoryview, memoryview]]:
    """Yield (kind, whole chunk, its content), and verify the checksums of chunks that define the picture."""
    view, at = memoryview(content), len(SIGNATURE)
    while at + 12 <= len(content):
        length, kind = struct.unpack_from(">I4s", content, at)
        end = at + 12 + length
        if end > len(content):
            raise ImageError("damaged or truncated (a chunk beyond the end)")
        inside = view[at + 8 : end - 4]
        if (
            kind in _PICTURE + _FRAMES
            and zlib.crc32(inside, zlib.crc32(kind)) != struct.unpack_from(">I", view, end - 4)[0]
        ):
            raise ImageError(f"damaged or truncated (the sum of {kind.decode()} is wrong)")
        yield kind, view[at:end], inside
        if kind == b"IEND":
            return
        at = end


def _number(content: memoryview, at: int) -> int:
    return int.from_bytes(content[at : at + 4], "big")


def _sort_chunks(content: bytes) -> _Chunks:
    chunks = _Chunks()
    for kind, whole, inside in _iterate_chunks(content):
        if kind in _PICTURE:
            chunks.picture.append(whole)
        if kind in _PICTURE + _FRAMES:
            chunks.with_frames.append(whole)
        if (kind == b"IHDR" and len(inside) == 13) or kind in (b"eXIf", b"tRNS", b"pHYs", *KINDS):
            chunks.metadata[kind] = bytes(inside)
        elif kind == b"acTL" and len(inside) == 8 and not chunks.has_pixels:
            chunks.frames = struct.unpack_from(">I", inside)[0]
        elif kind == b"IDAT":
            chunks.has_pixels = True
        elif kind in (b"iCCP", b"iTXt", b"zTXt", b"tEXt"):
            _read_text(kind, bytes(inside), chunks)
    if b"IHDR" not in chunks.metadata:
        raise ImageError("damaged or truncated (no header)")
    return chunks


def _read_text(kind: bytes, inside: bytes, chunks: _Chunks) -> None:
    """Read a profile, XMP, or EXIF in a text chunk, where old versions of ImageMagick stored it."""
    keyword, _, rest = inside.partition(b"\0")
    try:
        if kind == b"iCCP":
            chunks.metadata[kind] = _inflate(rest[1:])
        elif kind == b"iTXt" and keyword == XMP_KEYWORD:
            text = rest[2:].split(b"\0", 2)[2]
            chunks.metadata[b"xmp"] = _inflate(text) if rest[0] else text
        elif keyword in _RAW_PROFILES and kind != b"iTXt":
            text = _inflate(rest[1:]) if kind == b"zTXt" else rest
            found = bytes.fromhex(b"".join(text.split()[2:]).decode("ascii"))  # a name, a length, digits
            is_exif = found.startswith((EXIF_PREFIX, b"II*\0", b"MM\0*"))
            if is_exif or keyword.endswith(b"xmp"):
                chunks.metadata.setdefault(_RAW_PROFILES[keyword], found)
        elif "texts left out" not in chunks.left_out:
            chunks.left_out.append("texts left out")
    except (ValueError, IndexError, zlib.error):
        chunks.left_out.append(f"a broken {'ICC profile' if kind == b'iCCP' else 'text'} left out")


def _inflate(packed: bytes) -> bytes:
    """Unpack metadata, and refuse more than ``_LONGEST_METADATA`` bytes."""
    stream = zlib.decompressobj()
    content = stream.decompress(packed, _LONGEST_METADATA)
    if not stream.eof:
        raise ValueError("cut, or longer than any metadata")
    return content


def _carried(chunks: _Chunks) -> Carried:
    found = chunks.metadata
    across, down, unit = struct.unpack(">IIB", found[b"pHYs"]) if len(found.get(b"pHYs", b"")) == 9 else (0, 0, 0)
    return {
        "icc_profile": found.get(b"iCCP"),
        "exif": found.get(b"eXIf"),
        "xmp": found.get(b"xmp"),
        "dpi": (across / INCHES_A_METRE, down / INCHES_A_METRE) if unit == 1 and across and down else None,
        "note": ", ".join(chunks.left_out),
        "colour_chunks": colour_chunks(found),
    }


def _loaded(parts: list[memoryview], raw_mode: str = "") -> Image.Image:
    """Decode the picture in these chunks. The list is emptied, so that a large file is not held twice.

    Args:
        raw_mode: Pillow's name for the layout of the samples; empty means the one the header states.
    """
    with io.BytesIO(b"".join([SIGNATURE, *parts])) as packed:
        parts.clear()
        image = Image.open(packed, formats=["PNG"])
        if raw_mode:
            image.tile = [image.tile[0]._replace(args=raw_mode)]
        image.load()
    return image


def _plain_pixels(chunks: _Chunks) -> np.ndarray:
    chunks.with_frames.clear()
    return plain_array(_loaded(chunks.picture))[0]


def _deep_pixels(chunks: _Chunks, colour_type: int) -> np.ndarray:
    """Decode the pixels of a 16-bit file to H x W x C uint16."""
    parts = [part for part in chunks.picture if part[4:8] != b"tRNS"]
    header = bytearray(chunks.metadata[b"IHDR"])
    # Colour: decode the upper and the lower bytes one after the other.
    if colour_type in (_RGB, _RGBA):
        channels = 3 if colour_type == _RGB else 4
        array = np.zeros((int.from_bytes(header[4:8], "big"), int.from_bytes(header[:4], "big"), channels), np.uint16)
        _add_half(array, parts[:], 8)
        _add_half(array, parts, 0)
    # Grey with alpha: a pixel has as many bytes as one of 8-bit RGBA, so the header is changed to that.
    elif colour_type == _GREY_ALPHA:
        header[8:10] = bytes([8, _RGBA])
        image = _loaded([memoryview(chunk(b"IHDR", bytes(header))), *parts[1:]])
        array = plain_array(image)[0].view(">u2").astype(np.uint16)
    else:
        array = np.atleast_3d(np.asarray(_loaded(parts)).astype(np.uint16))
    # One colour may be declared transparent.
    key = chunks.metadata.get(b"tRNS", b"")
    if colour_type in (_GREY, _RGB) and len(key) == 2 * array.shape[2]:
        opaque = (array != np.frombuffer(key, ">u2")).any(axis=2)
        array = np.dstack([array, opaque * np.uint16(65535)])
    return array


def _add_half(array: np.ndarray, parts: list[memoryview], shift: int) -> None:
    """Add the upper bytes (shift 8) or the lower ones (shift 0) to the array.

    Pillow keeps the first byte of each sample in mode ``16B`` and the second one in mode ``16L``.
    """
    mode = ("RGB" if array.shape[2] == 3 else "RGBA") + (";16B" if shift else ";16L")
    for top, rows in blocks_of_rows(_loaded(parts, mode)):
        array[top : top + rows.height] |= np.asarray(rows).astype(np.uint16) << shift
