"""Decode the strips and tiles of a TIFF: OpenCV unpacks them, this module undoes the predictor.

In: a file's bytes and the places of its segments. Out: H x W x samples in the file's type. For each plane a small TIFF
is built around the packed bytes that declares them as 16-bit grey (8-bit if a row has an odd number of bytes). So
OpenCV's libtiff only unpacks and never interprets them, and the result cannot be larger than expected. Source: TIFF
6.0, sections 9, 13-15.
"""

import struct
import sys
from dataclasses import dataclass
from itertools import accumulate

import cv2
import numpy as np

from diffir.errors import ImageError
from diffir.image_io.packed_size import check_enough
from diffir.image_io.tags import LONG, Tag, TagLayout, write_directory

_ROWS = 256  # rows summed at a time
_NONE = 1  # compression
_METHODS = {1: "no compression", 5: "LZW", 8: "deflate", 32773: "PackBits", 32946: "deflate"}
_DIFFERENCES, _FLOAT_DIFFERENCES = 2, 3  # predictor
_HOST = TagLayout("<" if sys.byteorder == "little" else ">")


@dataclass(frozen=True)
class Segments:
    """Size, type and places of the strips or tiles of one plane; strips count as tiles as wide as the picture."""

    width: int
    height: int
    samples: int
    """Samples per pixel in this plane."""
    dtype: np.dtype
    """Type of a sample, with the byte order of the file."""
    segment_width: int
    segment_height: int
    is_tiled: bool
    compression: int
    predictor: int
    offsets: tuple[int, ...]
    sizes: tuple[int, ...]

    @property
    def across(self) -> int:
        """Number of segments beside each other."""
        return -(-self.width // self.segment_width)

    @property
    def down(self) -> int:
        """Number of segments below each other."""
        return -(-self.height // self.segment_height)

    @property
    def rows(self) -> int:
        """Number of stored rows: the last strip ends with the picture, the last tile does not."""
        return self.down * self.segment_height if self.is_tiled else self.height

    @property
    def row_bytes(self) -> int:
        """Bytes of one row through all segments."""
        return self.across * self.segment_width * self.samples * self.dtype.itemsize


def unpack(content: bytes, plane: Segments) -> np.ndarray:
    """Decode a plane to H x W x samples in the byte order of this machine."""
    if len(plane.offsets) < plane.across * plane.down or len(plane.sizes) < plane.across * plane.down:
        raise ImageError("damaged or truncated (parts of the picture are missing)")
    # Uncompressed segments are read by their offsets alone, since some writers state wrong sizes.
    packed = len(content) if plane.compression == _NONE else sum(plane.sizes[: plane.across * plane.down])
    check_enough(plane.rows * plane.row_bytes, min(packed, len(content)), _METHODS[plane.compression])
    raw = _copied(content, plane) if plane.compression == _NONE else _unpacked(content, plane)
    array = _without_differences(raw, plane)
    return array.reshape(plane.rows, -1, plane.samples)[: plane.height, : plane.width]


def _copied(content: bytes, plane: Segments) -> np.ndarray:
    """Assemble uncompressed segments to an array of rows x bytes."""
    raw = np.empty((plane.rows, plane.row_bytes), np.uint8)
    length = plane.row_bytes // plane.across
    view = np.frombuffer(content, np.uint8)
    for index, at in enumerate(plane.offsets[: plane.across * plane.down]):
        top, left = index // plane.across * plane.segment_height, index % plane.across * length
        part = raw[top : top + plane.segment_height, left : left + length]
        found = view[at : at + part.size]
        if found.size < part.size:
            raise ImageError("damaged or truncated (pixels beyond the end)")
        part[:] = found.reshape(part.shape)
    return raw


def _unpacked(content: bytes, plane: Segments) -> np.ndarray:
    """Unpack compressed segments with libtiff to an array of rows x bytes."""
    wide = 2 if plane.row_bytes // plane.across % 2 == 0 else 1
    wrapped = cv2.imdecode(np.frombuffer(_wrap(content, plane, wide), np.uint8), cv2.IMREAD_UNCHANGED)
    shape = (plane.rows, plane.row_bytes // wide)
    if wrapped is None or wrapped.shape != shape or wrapped.itemsize != wide:
        raise ImageError("damaged or truncated")
    return wrapped.view(np.uint8)


def _wrap(content: bytes, plane: Segments, wide: int) -> bytes:
    """Return a TIFF file of grey pixels of ``wide`` bytes that holds the packed segments of a plane unchanged."""
    # Collect the segments.
    count = plane.across * plane.down
    view = memoryview(content)
    parts = [view[at : at + size] for at, size in zip(plane.offsets[:count], plane.sizes, strict=False)]
    if sum(map(len, parts)) > len(content):
        raise ImageError("damaged (parts of the picture overlap)")
    *places, end = accumulate(map(len, parts), initial=8)  # they begin behind the header of 8 bytes
    # Write the tags: width, height, bits, compression, photometric, samples, and the segments.
    row = plane.row_bytes // wide
    numbers = {256: row, 257: plane.rows, 258: 8 * wide, 259: plane.compression, 262: 1, 277: 1}
    if plane.is_tiled:
        numbers |= {322: row // plane.across, 323: plane.segment_height}
        at_code, size_code = 324, 325
    else:
        numbers |= {278: plane.segment_height}
        at_code, size_code = 273, 279
    packed = {code: struct.pack(_HOST.place, value) for code, value in numbers.items()}
    packed[at_code] = struct.pack(f"{_HOST.order}{count}I", *places)
    packed[size_code] = struct.pack(f"{_HOST.order}{count}I", *map(len, parts))
    # Join header, segments and directory, which begins at an even place.
    end += end % 2
    tags = tuple(Tag(code, LONG, len(value) // 4, value, 0, 0) for code, value in packed.items())
    magic = (b"II*\0" if _HOST.order == "<" else b"MM\0*") + struct.pack(_HOST.place, end)
    filler = bytes(end - 8 - sum(map(len, parts)))
    return b"".join([magic, *parts, filler, write_directory(tags, end, _HOST)])


def _without_differences(raw: np.ndarray, plane: Segments) -> np.ndarray:
    """Undo the predictor, with which each sample is stored as its difference to the one on the left.

    Source: sections 14 and 15; for floats, whose bytes are also regrouped, technical note 3.
    """
    shape = (plane.rows, plane.across, plane.segment_width, plane.samples)
    native = plane.dtype.newbyteorder("=")
    if plane.predictor == _FLOAT_DIFFERENCES:
        byte = raw.reshape(plane.rows, plane.across, -1, plane.samples)
        _add_up(byte)
        planes = byte.reshape(plane.rows, plane.across, plane.dtype.itemsize, -1)
        swapped = np.ascontiguousarray(np.moveaxis(planes, 2, 3))
        return swapped.view(plane.dtype.newbyteorder(">")).astype(native, copy=False).reshape(shape)
    array = raw.reshape(-1).view(plane.dtype).astype(native, copy=False).reshape(shape)
    if plane.predictor == _DIFFERENCES:
        _add_up(array.view(f"u{native.itemsize}"))
    return array


def _add_up(array: np.ndarray) -> None:
    """Replace values by their cumulative sums along the third axis; in blocks of rows, since numpy makes a copy."""
    for top in range(0, len(array), _ROWS):
        rows = array[top : top + _ROWS]
        rows[:] = np.add.accumulate(rows, axis=2, dtype=array.dtype)
