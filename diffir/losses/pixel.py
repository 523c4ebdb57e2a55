"""Pixel losses: L1 between restored image and ground truth, with separate weights for known and missing pixels.

In: images (B, 3, H, W) in [0, 1] in any precision, and a mask (B, 1, H, W), 1 = missing. Out: float32 scalars.
"""

import torch.nn.functional as F
from torch import Tensor

GRID_CELLS = 8  # periods a side of the squares over which a grid is averaged; our choice


def pixel_l1(restored: Tensor, gt: Tensor) -> Tensor:
    """Return the mean absolute difference of two images (B, 3, H, W), computed in float32 even under autocast."""
    return F.l1_loss(restored.float(), gt.float())


def masked_l1(restored: Tensor, gt: Tensor, mask: Tensor, *, known_weight: float, hole_weight: float) -> Tensor:
    """Return the mean over all pixels of the absolute difference times ``known_weight`` or ``hole_weight``."""
    weights = known_weight + (hole_weight - known_weight) * mask.float()
    return (weights * (restored.float() - gt.float()).abs()).mean()


def grid_l1(restored: Tensor, target: Tensor, scale: int) -> Tensor:
    """Return how strongly a regular grid with a period of ``scale`` pixels covers the result.

    It is the L1 norm of the difference from the target, averaged over squares of GRID_CELLS x GRID_CELLS periods for
    each place within a period, without what all places share. Texture averages out, and a grid does not.

    Args:
        restored, target: (B, C, H, W), H and W multiples of scale; scale 2 or more.
    """
    by_place = F.pixel_unshuffle(restored - target, scale).unflatten(1, (-1, scale**2))  # B, C, places, h, w
    cells = min(GRID_CELLS, *by_place.shape[-2:])
    means = F.avg_pool2d(by_place.flatten(1, 2), cells, stride=max(cells // 2, 1)).unflatten(1, by_place.shape[1:3])
    return (means - means.mean(dim=2, keepdim=True)).abs().mean()
