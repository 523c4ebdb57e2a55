"""Pixel losses: L1 between restored and clean image, the whole of it or by what was known of it.

In: images (B, 3, H, W) in [0, 1] in any precision, and a mask (B, 1, H, W), 1 = missing. Out: float32 scalars.
"""

import torch.nn.functional as F
from torch import Tensor


def pixel_l1(restored: Tensor, gt: Tensor) -> Tensor:
    """Mean absolute difference of two images (B, 3, H, W), in float32 whatever autocast made of them."""
    return F.l1_loss(restored.float(), gt.float())


def masked_l1(restored: Tensor, gt: Tensor, mask: Tensor, *, known_weight: float, hole_weight: float) -> Tensor:
    """Mean over all pixels of the absolute difference, that of known and of missing pixels weighted on its own."""
    weights = known_weight + (hole_weight - known_weight) * mask.float()
    return (weights * (restored.float() - gt.float()).abs()).mean()
