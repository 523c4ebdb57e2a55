"""PSNR-B: PSNR that also penalises block artefacts, the steps between the 8 x 8 blocks of JPEG.

In: two arrays from ``Protocol.apply``, h x w x c float64 on the 8-bit scale; the grid of blocks starts in their upper
left corner. Out: the mean of the channels' values in dB, as papers on JPEG restoration report it. Source: Yim and
Bovik, "Quality assessment of deblocked images", TIP 2011, eq. 3 to 8.
"""

import numpy as np

from diffir.errors import ImageError
from diffir.metrics.fidelity import decibels

BLOCK = 8  # pixels


def psnr_b(restored: np.ndarray, gt: np.ndarray) -> float:
    """Return the PSNR of the squared error plus the blocking effect of the restored image, in dB.

    Raises:
        ImageError: a side of the image is shorter than two blocks.
    """
    height, width, channels = gt.shape
    if min(height, width) < 2 * BLOCK:
        raise ImageError(f"PSNR-B needs {2 * BLOCK} x {2 * BLOCK} pixels inside the border, got {width} x {height}")
    restored, gt = restored.astype(np.float64), gt.astype(np.float64)
    errors = np.mean(np.square(restored - gt), axis=(0, 1))
    return float(np.mean([decibels(errors[c] + blocking_effect(restored[..., c])) for c in range(channels)]))


def blocking_effect(channel: np.ndarray) -> float:
    """Return by how much squared steps are larger between blocks than inside them; 0 if they are not larger.

    The number of steps between blocks is the paper's: the side over 8, less one. On sides that are no multiple of 8
    this omits the last block; published results do the same.

    Args:
        channel: H x W on the 8-bit scale; the result is in squared grey levels.
    """
    # Sum the squared steps.
    height, width = channel.shape
    across, down = np.square(np.diff(channel, axis=1)), np.square(np.diff(channel, axis=0))
    between = across[:, BLOCK - 1 :: BLOCK].sum() + down[BLOCK - 1 :: BLOCK].sum()
    inside = across.sum() + down.sum() - between
    # Count the steps of both kinds, and compare their means.
    count_between = height * (width // BLOCK - 1) + width * (height // BLOCK - 1)
    count_inside = across.size + down.size - count_between
    weight = np.log2(BLOCK) / np.log2(min(height, width))
    return float(weight * max(0.0, between / count_between - inside / count_inside))
