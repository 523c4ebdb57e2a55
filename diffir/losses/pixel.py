"""Pixel losses: L1 between restored image and ground truth, with separate weights for known and missing pixels.

In: images (B, 3, H, W) in [0, 1] in any precision, and a mask (B, 1, H, W), 1 = missing. Out: float32 scalars.
"""

import torch.nn.functional as F
from torch import Tensor


def pixel_l1(restored: Tensor, gt: Tensor) -> Tensor:
    """Return the mean absolute difference of two images (B, 3, H, W), computed in float32 even under autocast."""
    return F.l1_loss(restored.float(), gt.float())


def masked_l1(restored: Tensor, gt: Tensor, mask: Tensor, *, known_weight: float, hole_weight: float) -> Tensor:
    """Return the mean over all pixels of the absolute difference times ``known_weight`` or ``hole_weight``."""
    weights = known_weight + (hole_weight - known_weight) * mask.float()
    return (weights * (restored.float() - gt.float()).abs()).mean()
