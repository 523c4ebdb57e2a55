"""MATLAB's ``imresize(image, scale, 'bicubic')`` with antialiasing, value for value.

The low-resolution images of all published super-resolution tables were made by it; the bicubic filters of OpenCV,
Pillow and torch differ from it by up to 78 grey levels. Kernel: Keys 1981, a = -1/2, widened by 1/scale when shrinking;
borders are mirrored; the axis of the smaller scale comes first, rows before columns.
In: H x W or H x W x C, any channel order.
"""

import math

import numpy as np

from diffir.errors import UsageError

KERNEL_WIDTH = 4  # pixels the cubic kernel spans at scale 1


def imresize(image: np.ndarray, scale: float, *, uint8_passes: bool = True) -> np.ndarray:
    """Resize both sides by ``scale``; sides become ceil(side * scale).

    Args:
        image: H x W or H x W x C. uint8 stays uint8 (0-255); floats stay floats of their own type, in any range, and
            are neither clipped nor rounded.
        scale: output side over input side, above 0.
        uint8_passes: round and clip uint8 images after each axis, as MATLAB does; otherwise only once at the end.

    Raises:
        UsageError: scale is not above 0, or the image is neither uint8 nor float.
    """
    if not scale > 0:
        raise UsageError(f"imresize needs a scale above 0, got {scale}")
    is_8bit = image.dtype == np.uint8
    if not is_8bit and not np.issubdtype(image.dtype, np.floating):
        raise UsageError(f"imresize takes uint8 or float images, got {image.dtype}")

    rows = _resize_rows(image.astype(np.float64), scale)
    if is_8bit and uint8_passes:
        rows = _round_to_8bit(rows)
    resized = _resize_rows(rows.swapaxes(0, 1), scale).swapaxes(0, 1)
    return np.ascontiguousarray(_round_to_8bit(resized) if is_8bit else resized, dtype=image.dtype)


def _resize_rows(image: np.ndarray, scale: float) -> np.ndarray:
    """Resize along axis 0: each output row is a weighted sum of a few input rows."""
    weights, indices = _contributions(image.shape[0], scale)
    taps = weights.reshape(*weights.shape, *(1,) * (image.ndim - 1))
    resized = np.zeros((len(weights), *image.shape[1:]))
    for tap in range(weights.shape[1]):  # a loop over 4 to 4/scale taps keeps the memory at one image
        resized += taps[:, tap] * image[indices[:, tap]]
    return resized


def _contributions(length: int, scale: float) -> tuple[np.ndarray, np.ndarray]:
    """Compute the weights and source indices of one axis, both of shape (output length, taps)."""
    out_length = math.ceil(length * scale - 1e-9)  # 1e-9: a scale of 1/3 must not gain a pixel by rounding
    stretch = min(scale, 1.0)  # antialiasing: the kernel grows when shrinking, never when enlarging
    width = KERNEL_WIDTH / stretch
    centres = (np.arange(out_length) + 0.5) / scale - 0.5
    first = np.floor(centres - width / 2).astype(int)
    indices = first[:, None] + np.arange(math.ceil(width) + 2)
    # Weights of the taps around the centre of each output pixel; they add up to one.
    weights = _cubic((centres[:, None] - indices) * stretch)
    weights /= weights.sum(axis=1, keepdims=True)
    # Indices beyond the border are mirrored; taps whose weight is always 0 are dropped.
    mirrored = np.concatenate([np.arange(length), np.arange(length)[::-1]])
    used = np.any(weights != 0, axis=0)
    return weights[:, used], mirrored[indices[:, used] % (2 * length)]


def _cubic(x: np.ndarray) -> np.ndarray:
    """Evaluate Keys' cubic convolution kernel with a = -1/2 at distances x in pixels."""
    x = np.abs(x)
    near = 1.5 * x**3 - 2.5 * x**2 + 1
    far = -0.5 * x**3 + 2.5 * x**2 - 4 * x + 2
    return np.where(x <= 1, near, np.where(x <= 2, far, 0.0))


def _round_to_8bit(image: np.ndarray) -> np.ndarray:
    """Round half up and clip, as MATLAB's uint8() does; the result stays float64 for the next pass."""
    return np.clip(np.floor(image + 0.5), 0, 255)
