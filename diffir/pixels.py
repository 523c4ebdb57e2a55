"""Convert pixels between integer and float types: white is 1 in floats and the largest value in integers.

In and out: images H x W or H x W x C, RGB or grey. Integers become floats without loss. Floats become integers by
clipping and rounding once, as in BasicSR. Floats that stay floats are not clipped, since the noise of benchmarks
exceeds [0, 1].
"""

import numpy as np
from numpy.typing import DTypeLike


def white(dtype: DTypeLike) -> int:
    """Return the value of white: 255 in uint8, 65535 in uint16, 1 in floats."""
    dtype = np.dtype(dtype)
    return 1 if dtype.kind == "f" else int(np.iinfo(dtype).max)


def to_float(image: np.ndarray) -> np.ndarray:
    """Convert integers to float32 with white at 1; floats are returned unchanged."""
    return image if image.dtype.kind == "f" else image.astype(np.float32) / np.float32(white(image.dtype))


def to_kind(image: np.ndarray, dtype: DTypeLike) -> np.ndarray:
    """Convert a float image with white at 1 to ``dtype``.

    For an integer type it is clipped, scaled and rounded; for a float type only the type changes.
    """
    dtype = np.dtype(dtype)
    if dtype.kind == "f":
        return image.astype(dtype, copy=False)
    return np.rint(np.clip(image, 0, 1) * white(dtype)).astype(dtype)


def as_rgb(image: np.ndarray) -> np.ndarray:
    """Return an image H x W x 3: RGB unchanged, or a grey image (H x W or H x W x 1) repeated in three channels."""
    image = image[:, :, None] if image.ndim == 2 else image
    return np.repeat(image, 3, axis=2) if image.shape[2] == 1 else image
