"""Read PGM and PPM files in their own depth; Pillow reads the black and white PBM.

In: a file's bytes, with samples as text (P2, P3) or binary (P5, P6). Out: a photo of uint8 if the file's largest value
is at most 255, else of uint16. Samples are scaled so that the largest value is white; OpenCV omits that, and Pillow
reduces the depth to 8 bit. Source: the pages of netpbm on pgm and ppm.
"""

import re

import numpy as np

from diffir.errors import ImageError
from diffir.image_io.photo import Limits, Photo

_CHANNELS = {b"P2": 1, b"P3": 3, b"P5": 1, b"P6": 3}
_AS_TEXT = (b"P2", b"P3")
_GAP = rb"(?:\s|#[^\n\r]*[\n\r])+"
_HEADER = re.compile(rb"(P[2356])" + _GAP + rb"(\d{1,9})" + _GAP + rb"(\d{1,9})" + _GAP + rb"(\d{1,5})(?:#[^\n\r]*)?\s")
_LONGEST_HEADER = 65_536  # bytes, including comments


def is_pnm(content: bytes) -> bool:
    """Return whether the content is PGM or PPM, of which there are four kinds."""
    return content[:2] in _CHANNELS


def read_pnm(content: bytes, limits: Limits) -> Photo:
    """Read the first picture in a PGM or PPM file."""
    # Parse the header.
    header = _HEADER.match(content[:_LONGEST_HEADER])
    if header is None:
        raise ImageError("damaged or truncated (no header)")
    magic, (width, height, largest) = header[1], map(int, header.groups()[1:])
    limits.check(width, height)
    if not 1 <= largest <= 65535:
        raise ImageError(f"damaged: its largest value is {largest}")
    # Read the samples.
    shape = (height, width, _CHANNELS[magic])
    samples = _samples(content, header.end(), magic, np.uint8 if largest < 256 else np.uint16, shape)
    if samples.size < height * width * shape[2]:
        raise ImageError("damaged or truncated (pixels are missing)")
    pixels = samples.reshape(shape)
    # Scale them to the range of their type.
    if largest not in (255, 65535):
        white = np.iinfo(pixels.dtype).max
        pixels = np.rint(np.minimum(pixels, largest) * np.float32(white / largest)).astype(pixels.dtype)
    return Photo(np.ascontiguousarray(pixels))


def _samples(content: bytes, at: int, magic: bytes, dtype: type, shape: tuple[int, int, int]) -> np.ndarray:
    """Return the samples from byte ``at`` on as a flat array, which is shorter than the shape if the file is cut."""
    count = shape[0] * shape[1] * shape[2]
    if magic in _AS_TEXT:
        words = re.sub(rb"#[^\n\r]*", b"", content[at:]).split(None, count)[:count]
        return np.array([int(word) for word in words], np.int64).clip(0, np.iinfo(dtype).max).astype(dtype)
    stored = np.dtype(dtype).newbyteorder(">")
    return np.frombuffer(content[at : at + count * stored.itemsize], stored).astype(dtype)
