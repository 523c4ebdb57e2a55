"""Encoder of the damaged photo for cross-attention: a photo of any size becomes 64 vectors.

The published systems read text or layouts here; an encoder of the photo makes cross-attention and concatenation
comparable on restoration tasks. The design is ours.
"""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

SIDE = 8  # of the grid of vectors
WIDTH = 64  # of the first convolution


class ContextEncoder(nn.Module):
    """(B, C, h, w) in [0, 1] -> (B, 64, context_channels)."""

    def __init__(self, in_channels: int, context_channels: int) -> None:
        super().__init__()
        self.layers = nn.Sequential(
            nn.Conv2d(in_channels, WIDTH, 3, stride=2, padding=1),
            nn.SiLU(),
            nn.Conv2d(WIDTH, 2 * WIDTH, 3, stride=2, padding=1),
            nn.SiLU(),
            nn.Conv2d(2 * WIDTH, context_channels, 1),
        )
        self.places = nn.Parameter(torch.zeros(1, SIDE**2, context_channels))
        nn.init.normal_(self.places, std=0.02)
        self.norm = nn.LayerNorm(context_channels)

    def forward(self, lq: Tensor) -> Tensor:
        grid = F.adaptive_avg_pool2d(self.layers(2 * lq - 1), SIDE)
        return self.norm(grid.flatten(2).transpose(1, 2) + self.places)
