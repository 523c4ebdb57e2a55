"""Perceptual loss: distance of two images in the features of a pretrained network.

In: images (B, 3, H, W) float32 in [0, 1], RGB. Out: a scalar, the weighted sum over layers of the mean distance between
feature maps. Source: Johnson et al., ECCV 2016, eq. 1; with ADE20K features, LaMa (Suvorov et al., WACV 2022, eq. 1).
"""

from collections.abc import Mapping
from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn

IMAGENET_MEAN = (0.485, 0.456, 0.406)  # RGB in [0, 1]; both networks were trained with it
IMAGENET_STD = (0.229, 0.224, 0.225)

Distance = Literal["l1", "mse"]


class PerceptualLoss(nn.Module):
    """Weighted distance of restored images and ground truths in the feature maps of a frozen network."""

    mean: Tensor
    std: Tensor

    def __init__(self, backbone: nn.Module, layer_weights: Mapping[str, float], distance: Distance) -> None:
        super().__init__()
        self.backbone = backbone
        self.layer_weights = dict(layer_weights)
        self.distance = {"l1": F.l1_loss, "mse": F.mse_loss}[distance]
        self.register_buffer("mean", torch.tensor(IMAGENET_MEAN).view(1, 3, 1, 1))
        self.register_buffer("std", torch.tensor(IMAGENET_STD).view(1, 3, 1, 1))

    def forward(self, restored: Tensor, gt: Tensor) -> Tensor:
        with torch.no_grad():
            expected = self._maps(gt)
        found = self._maps(restored)
        distances = [weight * self.distance(found[name], expected[name]) for name, weight in self.layer_weights.items()]
        return torch.stack(distances).sum()

    def _maps(self, images: Tensor) -> dict[str, Tensor]:
        return self.backbone((images - self.mean) / self.std, list(self.layer_weights))
