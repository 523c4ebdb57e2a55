"""Grow masks, and blend the restored pixels of the grown margin into the photo.

In: masks (H, W), above 0 where pixels are missing. Out: weights of the restored pixels: 1 where pixels are missing,
falling linearly to 0 over the margin around them, 0 elsewhere. Tight masks leave a rim of what is to be removed, and
hard ones a visible edge; a margin that is restored and blended leaves neither.
"""

import cv2
import numpy as np

LARGEST_GROWTH = 1000  # pixels; a matter of taste, against typing errors


def seam_weights(mask: np.ndarray, grow: int) -> np.ndarray:
    """Return the weights (H, W) of restored pixels: bool without a margin, else float32 in [0, 1].

    Args:
        grow: width of the margin in pixels.
    """
    holes = mask > 0
    if not grow or not holes.any():
        return holes
    distance = cv2.distanceTransform((~holes).astype(np.uint8), cv2.DIST_L2, cv2.DIST_MASK_PRECISE)
    return np.clip(1 - distance / np.float32(grow + 1), 0, 1)
