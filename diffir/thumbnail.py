"""Thumbnails of whole photos, for networks that look at the photo as a whole besides the piece that they restore.

In: images (B, C, H, W) or a ``Region`` that gives their rows. Out: (B, C, side, side), each pixel the mean of the
pixels that it covers. The thumbnail is square whatever the shape of the photo, so that thumbnails of a batch fit
together.
"""

import torch
import torch.nn.functional as F
from torch import Tensor

from diffir.system import Region


def thumbnail(images: Tensor, side: int) -> Tensor:
    """Shrink images (B, C, H, W) to (B, C, side, side); a thumbnail of that size is returned as it is."""
    return images if images.shape[-2:] == (side, side) else F.adaptive_avg_pool2d(images, side)


def thumbnail_of(photos: Region, side: int) -> Tensor:
    """Return the thumbnail (B, C, side, side) of whole photos, on the CPU."""
    return shrunk(photos, side, side)


def shrunk(photos: Region, height: int, width: int) -> Tensor:
    """Shrink whole photos to (B, C, height, width), on the CPU; only a few rows are read at a time."""
    rows = []
    for row in range(height):
        start, stop = row * photos.height // height, -(-(row + 1) * photos.height // height)
        rows.append(F.adaptive_avg_pool2d(photos.rows(start, stop), (1, width)))
    return torch.cat(rows, dim=2)
