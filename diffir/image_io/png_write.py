"""Photos and animations -> PNG: 8-bit stills by Pillow; 16 bit and frames here, since Pillow writes neither as it is.

In: arrays, colour and alpha in one, uint8 or uint16. Out: a file's bytes, metadata byte for byte. Each row takes the
filter whose differences are smallest, the rule of the PNG specification, section 12.7; frames are written whole.
"""

import io
import struct
import zlib
from collections.abc import Iterator
from fractions import Fraction
from itertools import count

import numpy as np
from PIL import Image

from diffir.image_io.animation import frame_array
from diffir.image_io.metadata import EXIF_PREFIX
from diffir.image_io.photo import Animation, Photo, flat_if_grey
from diffir.image_io.png import INCHES_A_METRE, SIGNATURE, XMP_KEYWORD, chunk

_COLOUR_TYPES = {1: 0, 2: 4, 3: 2, 4: 6}
_BLOCK = 4 * 2**20  # bytes filtered at a time
# Of zlib. On photos (Kodak24) as they are, with noise of 5/255 and of 15/255, and enlarged twice, level 3 takes 0.49,
# 0.77, 1.0 and 0.31 of the time of 6, the default, for 0.97, 1.05, 1.01 and 1.04 of the bytes (8 bit, Pillow 13:
# 0.13 to 0.19 s a megapixel on one core, against 0.18 to 0.41).
_LEVEL = 3
_HEADER = len(SIGNATURE) + 25


def encode_png(photo: Photo) -> bytes:
    """A still."""
    array = frame_array(photo)
    if array.dtype == np.uint16:
        pixels = (chunk(b"IDAT", packed) for packed in _pack(array))
        return b"".join([SIGNATURE, _header(array), *_metadata(photo), *pixels, chunk(b"IEND", b"")])
    buffer = io.BytesIO()
    Image.fromarray(flat_if_grey(array)).save(buffer, "PNG", compress_level=_LEVEL)
    content = buffer.getbuffer()
    return b"".join([content[:_HEADER], *_metadata(photo), content[_HEADER:]])


def encode_animated_png(animation: Animation) -> bytes:
    """Third edition, 11.3.6: the first frame is the picture itself, the others follow; one number counts them all."""
    arrays = [frame_array(photo) for photo in animation.frames]
    parts = [SIGNATURE, _header(arrays[0]), chunk(b"acTL", struct.pack(">II", len(arrays), animation.loop))]
    parts += _metadata(animation.frames[0])
    numbers = count()
    for index, (array, duration) in enumerate(zip(arrays, animation.durations_ms, strict=True)):
        parts.append(chunk(b"fcTL", _frame_control(next(numbers), array, duration)))
        if index == 0:
            parts += [chunk(b"IDAT", packed) for packed in _pack(array)]
        else:
            parts += [chunk(b"fdAT", struct.pack(">I", next(numbers)) + packed) for packed in _pack(array)]
    return b"".join([*parts, chunk(b"IEND", b"")])


def _header(array: np.ndarray) -> bytes:
    height, width, channels = array.shape
    return chunk(b"IHDR", struct.pack(">IIBB3x", width, height, 8 * array.itemsize, _COLOUR_TYPES[channels]))


def _metadata(photo: Photo) -> list[bytes]:
    chunks = []
    if photo.icc_profile:
        chunks.append(chunk(b"iCCP", b"ICC Profile\0\0" + zlib.compress(photo.icc_profile)))
    if photo.dpi:
        across, down = (min(max(round(dpi * INCHES_A_METRE), 1), 2**31 - 1) for dpi in photo.dpi)
        chunks.append(chunk(b"pHYs", struct.pack(">IIB", across, down, 1)))
    if photo.exif:
        chunks.append(chunk(b"eXIf", photo.exif.removeprefix(EXIF_PREFIX)))
    if photo.xmp:
        chunks.append(chunk(b"iTXt", XMP_KEYWORD + bytes(5) + photo.xmp))  # not packed, no language
    return chunks


def _frame_control(number: int, array: np.ndarray, duration_ms: float) -> bytes:
    """The whole picture, its time as a fraction of a second, neither disposed of nor blended."""
    seconds = Fraction(max(duration_ms, 0) / 1000).limit_denominator(1000)
    if seconds > 65535:
        seconds = Fraction(65535)
    if seconds.numerator > 65535:
        seconds = Fraction(65535, round(65535 / seconds))
    height, width = array.shape[:2]
    return struct.pack(">5I2H2B", number, width, height, 0, 0, seconds.numerator, seconds.denominator, 0, 0)


def _pack(array: np.ndarray) -> Iterator[bytes]:
    """Filtered and deflated rows, in parts: a chunk for each, which is never too long (section 5.3: 2 GiB)."""
    step = array.shape[2] * array.itemsize
    deflate = zlib.compressobj(_LEVEL)
    at_once = max(1, _BLOCK // (array.shape[1] * step))
    before = np.zeros((1, array.shape[1] * step), np.uint8)
    for top in range(0, len(array), at_once):
        rows = _bytes_of_rows(array[top : top + at_once])
        packed = deflate.compress(_filtered(rows, np.concatenate([before, rows[:-1]]), step).data)
        before = rows[-1:]
        if packed:
            yield packed
    yield deflate.flush()


def _bytes_of_rows(array: np.ndarray) -> np.ndarray:
    """H x bytes of a row; the upper byte of a sample goes first (section 7.1)."""
    array = array.astype(">u2") if array.dtype == np.uint16 else array
    return np.ascontiguousarray(array).view(np.uint8).reshape(len(array), -1)


def _filtered(rows: np.ndarray, above: np.ndarray, step: int) -> np.ndarray:
    """Section 9: none, sub, up, average, Paeth; the number of the filter goes before each row."""
    left, corner = np.zeros_like(rows), np.zeros_like(rows)
    left[:, step:], corner[:, step:] = rows[:, :-step], above[:, :-step]
    average = ((left.astype(np.uint16) + above) >> 1).astype(np.uint8)
    candidates = [rows, rows - left, rows - above, rows - average, rows - _paeth(left, above, corner)]
    costs = [np.abs(candidate.view(np.int8).astype(np.int16)).sum(axis=1, dtype=np.int64) for candidate in candidates]
    best = np.argmin(costs, axis=0)
    filtered = np.empty((len(rows), rows.shape[1] + 1), np.uint8)
    filtered[:, 0] = best
    for number, candidate in enumerate(candidates):
        filtered[best == number, 1:] = candidate[best == number]
    return filtered


def _paeth(left: np.ndarray, above: np.ndarray, corner: np.ndarray) -> np.ndarray:
    """Section 9.4: of the three, the nearest to left + above - corner; ties in that order."""
    signed = [array.astype(np.int16) for array in (left, above, corner)]
    guess = signed[0] + signed[1] - signed[2]
    to_left, to_above, to_corner = (np.abs(guess - array) for array in signed)
    return np.where(
        (to_left <= to_above) & (to_left <= to_corner), left, np.where(to_above <= to_corner, above, corner)
    )
