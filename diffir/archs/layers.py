"""Small layers every network here is made of: channel norm, prior modulation, resampling.

In and out: feature maps (B, C, H, W). Restormer (Zamir et al., CVPR 2022) for the norm and the resampling,
DiffIR (Xia et al., ICCV 2023) for the modulation by the prior.
"""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

NORM_EPS = 1e-5
MODULATION_STD = 0.01  # a choice of taste: the prior matters from the first step, but does not disturb
LEAKY_SLOPE = 0.1  # all LeakyReLUs of CPEN and of the denoiser


class ChannelNorm(nn.Module):
    """Layer norm over the channels of each pixel.

    ``bias=False`` divides by the standard deviation but leaves the mean in place, as Restormer's "BiasFree" does.
    """

    def __init__(self, channels: int, *, bias: bool) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(channels))
        self.bias = nn.Parameter(torch.zeros(channels)) if bias else None

    def forward(self, x: Tensor) -> Tensor:
        pixels = x.permute(0, 2, 3, 1)  # a view: free for channels-last maps, which this layer also returns
        if self.bias is not None:
            normed = F.layer_norm(pixels, self.weight.shape, self.weight, self.bias, NORM_EPS)
        else:
            variance = pixels.var(-1, keepdim=True, correction=0)
            normed = pixels * torch.rsqrt(variance + NORM_EPS) * self.weight
        return normed.permute(0, 3, 1, 2)


class Modulation(nn.Module):
    """Scale and shift every channel by two linear functions of the prior: x * gain(z) + shift(z).

    There is no "1 +": a prior near zero would shut the block. So gain starts as the mean of the prior, which CPEN and
    the denoiser start near one; training from scratch then begins with open blocks.
    """

    def __init__(self, channels: int, prior_width: int) -> None:
        super().__init__()
        self.linear = nn.Linear(prior_width, 2 * channels, bias=False)
        if self.linear.weight.is_meta:  # a shape without numbers; torch would load its compiler to draw none, 2 s
            return
        nn.init.normal_(self.linear.weight, std=MODULATION_STD)
        with torch.no_grad():
            self.linear.weight[:channels] += 1 / prior_width

    def forward(self, x: Tensor, prior: Tensor) -> Tensor:
        gain, shift = self.linear(prior)[:, :, None, None].chunk(2, dim=1)
        return torch.addcmul(shift, x, gain)


def start_alive(network: nn.Module) -> None:
    """Let convolutions and linear layers keep the size of their signal (He et al., ICCV 2015, eq. 14).

    torch's own start shrinks it by 0.6 a layer, so that after CPEN's ten the prior of all images is the same to a
    thousandth, and little can be learnt from its differences at first.
    """
    for layer in network.modules():
        if isinstance(layer, nn.Conv2d | nn.Linear) and not layer.weight.is_meta:
            nn.init.kaiming_normal_(layer.weight, a=LEAKY_SLOPE)
            assert layer.bias is not None
            nn.init.zeros_(layer.bias)


def start_near_one(layer: nn.Module) -> None:
    """Let the last layer before a prior start with outputs around one; ``Modulation`` says why."""
    assert isinstance(layer, nn.Linear)
    nn.init.ones_(layer.bias)


class Downsample(nn.Module):
    """Halve the sides and double the channels: conv 3x3, then PixelUnshuffle."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.conv = nn.Conv2d(channels, channels // 2, 3, padding=1, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        return F.pixel_unshuffle(self.conv(x), 2)


class Upsample(nn.Module):
    """Double the sides and halve the channels: conv 3x3, then PixelShuffle."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.conv = nn.Conv2d(channels, channels * 2, 3, padding=1, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        return F.pixel_shuffle(self.conv(x), 2)
