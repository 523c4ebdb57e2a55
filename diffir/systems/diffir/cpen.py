"""CPEN, the compact prior extraction network: computes one vector from an image.

In: (B, C, H, W), already pixel-unshuffled; in stage 1 lq and ground truth concatenated, in stage 2 lq alone.
Out: in stage 1 the prior, in stage 2 the conditioning vector of the denoiser; (B, P), not normalised.
DiffIR (Xia et al., ICCV 2023), figure 2.
"""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from diffir.systems.diffir.layers import LEAKY_SLOPE, init_bias_to_one, init_kaiming

RESIDUAL_INIT_GAIN = 0.1  # for the second convolution of a block; without it the signal doubles with every block


class ResidualBlock(nn.Module):
    """Residual block with two 3x3 convolutions: x + conv(LeakyReLU(conv(x)))."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(channels, channels, 3, padding=1)
        self.conv2 = nn.Conv2d(channels, channels, 3, padding=1)

    def forward(self, x: Tensor) -> Tensor:
        return x + self.conv2(F.leaky_relu(self.conv1(x), LEAKY_SLOPE))


class CPEN(nn.Module):
    """Convolutions, then the mean over all pixels, then an MLP of two layers."""

    def __init__(self, in_channels: int, prior_width: int, num_blocks: int) -> None:
        super().__init__()
        width = prior_width // 4
        self.head = nn.Conv2d(in_channels, width, 3, padding=1)
        self.blocks = nn.Sequential(*(ResidualBlock(width) for _ in range(num_blocks)))
        self.widen = nn.ModuleList(nn.Conv2d(width * a, width * b, 3, padding=1) for a, b in ((1, 2), (2, 2), (2, 4)))
        self.mlp = nn.ModuleList(nn.Linear(prior_width, prior_width) for _ in range(2))
        self._init_weights()

    @torch.no_grad()
    def _init_weights(self) -> None:
        """Initialise so that the prior varies from image to image, around one; ``Modulation`` says why."""
        init_kaiming(self)
        for block in self.blocks:
            assert isinstance(block, ResidualBlock)
            block.conv2.weight.mul_(RESIDUAL_INIT_GAIN)
        init_bias_to_one(self.mlp[-1])

    @property
    def halo(self) -> int:
        """Radius of the receptive field of ``features`` in pixels: one for every 3x3 convolution."""
        return 1 + 2 * len(self.blocks) + len(self.widen)

    def features(self, x: Tensor) -> Tensor:
        """Features (B, P, H, W) before the mean; only convolutions, so they can be computed strip by strip."""
        x = self.blocks(F.leaky_relu(self.head(x), LEAKY_SLOPE))
        for conv in self.widen:
            x = F.leaky_relu(conv(x), LEAKY_SLOPE)
        return x

    def summarise(self, mean: Tensor) -> Tensor:
        """Compute the prior or the conditioning vector (B, P) from the mean (B, P) of the features."""
        for linear in self.mlp:
            mean = F.leaky_relu(linear(mean), LEAKY_SLOPE)
        return mean

    def forward(self, x: Tensor) -> Tensor:
        return self.summarise(self.features(x).mean(dim=(2, 3)))
