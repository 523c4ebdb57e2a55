"""PSNR-B: PSNR that also counts the steps a decoder leaves between its 8 x 8 blocks.

In: two arrays that ``Protocol.apply`` made, h x w x c float64 on the 8-bit scale; the grid starts in their upper left
corner. Out: dB, the mean of the channels' values, as the tables of JPEG networks print it. Yim and Bovik, "Quality
assessment of deblocked images", TIP 2011, eq. 3 to 8.
"""

import numpy as np

from diffir.errors import ImageError
from diffir.metrics.fidelity import decibels

BLOCK = 8  # pixels


def psnr_b(restored: np.ndarray, gt: np.ndarray) -> float:
    """PSNR of the error plus the blocking effect of the restored image, in dB.

    Raises:
        ImageError: an image of less than two blocks a side.
    """
    height, width, channels = gt.shape
    if min(height, width) < 2 * BLOCK:
        raise ImageError(f"PSNR-B needs {2 * BLOCK} x {2 * BLOCK} pixels inside the border, got {width} x {height}")
    restored, gt = restored.astype(np.float64), gt.astype(np.float64)
    errors = np.mean(np.square(restored - gt), axis=(0, 1))
    return float(np.mean([decibels(errors[c] + blocking_effect(restored[..., c])) for c in range(channels)]))


def blocking_effect(channel: np.ndarray) -> float:
    """How much larger squared steps are between blocks than inside them; 0 where they are not. H x W -> grey levels^2.

    The count of steps between blocks is the paper's, sides over 8, less one; on sides that are no multiple of 8 it
    misses the last block, which published tables take over.
    """
    height, width = channel.shape
    across, down = np.square(np.diff(channel, axis=1)), np.square(np.diff(channel, axis=0))
    between = across[:, BLOCK - 1 :: BLOCK].sum() + down[BLOCK - 1 :: BLOCK].sum()
    inside = across.sum() + down.sum() - between
    count_between = height * (width // BLOCK - 1) + width * (height // BLOCK - 1)
    count_inside = across.size + down.size - count_between
    weight = np.log2(BLOCK) / np.log2(min(height, width))
    return float(weight * max(0.0, between / count_between - inside / count_inside))
