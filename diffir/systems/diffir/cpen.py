"""CPEN, the compact prior extraction network: image(s) to one vector.

In: (B, C, H, W), already pixel-unshuffled (stage 1: lq and ground truth concatenated; stage 2: lq alone).
Out: prior or condition (B, P), not normalised. DiffIR (Xia et al., ICCV 2023), figure 2.
"""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from diffir.systems.diffir.layers import LEAKY_SLOPE, start_alive, start_near_one

RESIDUAL_START = 0.1  # of a block's second convolution, or the signal would double with every block


class ResidualBlock(nn.Module):
    """x + conv(LeakyReLU(conv(x)))."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(channels, channels, 3, padding=1)
        self.conv2 = nn.Conv2d(channels, channels, 3, padding=1)

    def forward(self, x: Tensor) -> Tensor:
        return x + self.conv2(F.leaky_relu(self.conv1(x), LEAKY_SLOPE))


class CPEN(nn.Module):
    """Convolutions, the mean over all pixels, and a two-layer MLP."""

    def __init__(self, in_channels: int, prior_width: int, num_blocks: int) -> None:
        super().__init__()
        width = prior_width // 4
        self.head = nn.Conv2d(in_channels, width, 3, padding=1)
        self.blocks = nn.Sequential(*(ResidualBlock(width) for _ in range(num_blocks)))
        self.widen = nn.ModuleList(nn.Conv2d(width * a, width * b, 3, padding=1) for a, b in ((1, 2), (2, 2), (2, 4)))
        self.mlp = nn.ModuleList(nn.Linear(prior_width, prior_width) for _ in range(2))
        self._start()

    @torch.no_grad()
    def _start(self) -> None:
        """With a prior that varies from image to image, around one (``Modulation`` says why)."""
        start_alive(self)
        for block in self.blocks:
            assert isinstance(block, ResidualBlock)
            block.conv2.weight.mul_(RESIDUAL_START)
        start_near_one(self.mlp[-1])

    @property
    def halo(self) -> int:
        """Pixels of x beyond its place that a pixel of ``features`` sees: one for every 3x3 convolution."""
        return 1 + 2 * len(self.blocks) + len(self.widen)

    def features(self, x: Tensor) -> Tensor:
        """(B, P, H, W): what the mean is taken of. Convolutions alone, so it can be computed piece by piece."""
        x = self.blocks(F.leaky_relu(self.head(x), LEAKY_SLOPE))
        for conv in self.widen:
            x = F.leaky_relu(conv(x), LEAKY_SLOPE)
        return x

    def summarise(self, mean: Tensor) -> Tensor:
        """From the mean (B, P) of the features to the prior or condition (B, P)."""
        for linear in self.mlp:
            mean = F.leaky_relu(linear(mean), LEAKY_SLOPE)
        return mean

    def forward(self, x: Tensor) -> Tensor:
        return self.summarise(self.features(x).mean(dim=(2, 3)))
