"""Bring restored photos to any size: the network enlarges by its own factor, and the rest is resampled.

In: a restored photo, and the size wanted. Out: the photo with pixels, alpha and infrared of that size. Lanczos enlarges
and the mean over areas reduces, as in Real-ESRGAN's option of this name.
"""

from dataclasses import replace

import cv2
import numpy as np

from diffir.image_io import Photo


def size_at(height: int, width: int, factor: float) -> tuple[int, int]:
    """Return height and width in pixels at a factor, at least one pixel."""
    return max(round(height * factor), 1), max(round(width * factor), 1)


def resized(photo: Photo, height: int, width: int) -> Photo:
    """Return the photo with this height and width in pixels; the same photo if it has them."""
    if photo.pixels.shape[:2] == (height, width):
        return photo

    def resize(array: np.ndarray) -> np.ndarray:
        shrinks = height * width < array.shape[0] * array.shape[1]
        result = cv2.resize(array, (width, height), interpolation=cv2.INTER_AREA if shrinks else cv2.INTER_LANCZOS4)
        result = result.clip(0, 1) if array.dtype.kind == "f" else result  # Lanczos overshoots at edges
        return result.reshape(height, width, *array.shape[2:])

    alpha = None if photo.alpha is None else resize(photo.alpha)
    infrared = None if photo.infrared is None else resize(photo.infrared)
    return replace(photo, pixels=resize(photo.pixels), alpha=alpha, infrared=infrared)
