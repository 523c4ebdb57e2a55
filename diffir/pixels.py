"""What a pixel's value means in each kind of array: white is 1 in floats and the largest value in integers.

In and out: images H x W or H x W x C, RGB or grey. Integers become floats without loss; on the way back they are
clipped and rounded once (BasicSR's rule), while floats stay as they are, since noise in benchmarks leaves [0, 1].
"""

import numpy as np
from numpy.typing import DTypeLike


def white(dtype: DTypeLike) -> int:
    """The value of white: 255 in uint8, 65535 in uint16, 1 in floats."""
    dtype = np.dtype(dtype)
    return 1 if dtype.kind == "f" else int(np.iinfo(dtype).max)


def to_float(image: np.ndarray) -> np.ndarray:
    """Integers as float32 with white at 1; floats as they are."""
    return image if image.dtype.kind == "f" else image.astype(np.float32) / np.float32(white(image.dtype))


def to_kind(image: np.ndarray, dtype: DTypeLike) -> np.ndarray:
    """A float image with white at 1 as ``dtype``: integers are clipped, scaled and rounded; floats only converted."""
    dtype = np.dtype(dtype)
    if dtype.kind == "f":
        return image.astype(dtype, copy=False)
    return np.rint(np.clip(image, 0, 1) * white(dtype)).astype(dtype)


def as_rgb(image: np.ndarray) -> np.ndarray:
    """H x W x 3: a grey image (H x W or H x W x 1) three times over, as the field's scripts read it; RGB as it is."""
    image = image[:, :, None] if image.ndim == 2 else image
    return np.repeat(image, 3, axis=2) if image.shape[2] == 1 else image
