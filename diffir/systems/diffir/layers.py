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


class Modulation(nn.Module):
    """Two linear functions of the prior, the gain and the shift of every channel: x * gain(z) + shift(z).

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

    def forward(self, prior: Tensor) -> tuple[Tensor, Tensor]:
        """Gain and shift, each (B, C), from a prior (B, P)."""
        gain, shift = self.linear(prior).chunk(2, dim=1)
        return gain, shift


class ChannelNorm(nn.Module):
    """Layer norm over the channels of each pixel, and the modulation that follows it.

    ``bias=False`` divides by the standard deviation but leaves the mean in place, as Restormer's "BiasFree" does.
    """

    def __init__(self, channels: int, *, bias: bool) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(channels))
        self.bias = nn.Parameter(torch.zeros(channels)) if bias else None

    def fold(self, modulation: tuple[Tensor, Tensor]) -> tuple[Tensor, Tensor]:
        """(x weight + bias) gain + shift as one gain and one shift, each (B, C)."""
        gain, shift = modulation
        return gain * self.weight, shift if self.bias is None else torch.addcmul(shift, gain, self.bias)

    def forward(self, x: Tensor, modulation: tuple[Tensor, Tensor]) -> Tensor:
        """The normed map, modulated: (B, C, H, W), channels last, whatever the layout of x."""
        gain, shift = self.fold(modulation)
        pixels = x.permute(0, 2, 3, 1)  # a view: free for channels-last maps, which this layer also returns
        if self.bias is not None and len(x) == 1:  # one image: its gain and shift are a layer norm's own
            modulated = F.layer_norm(pixels, gain.shape[1:], gain[0], shift[0], NORM_EPS)
        else:
            modulated = torch.addcmul(shift[:, None, None], self._normed(pixels), gain[:, None, None])
        return modulated.permute(0, 3, 1, 2)

    def _normed(self, pixels: Tensor) -> Tensor:
        if self.bias is not None:
            return F.layer_norm(pixels, pixels.shape[-1:], eps=NORM_EPS)
        return pixels * torch.rsqrt(pixels.var(-1, keepdim=True, correction=0) + NORM_EPS)


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
