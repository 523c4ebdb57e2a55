"""Basic layers of the networks: channel norm, modulation by the prior, resampling, and initialisation.

In and out: feature maps (B, C, H, W). Norm and resampling follow Restormer (Zamir et al., CVPR 2022), the modulation
DiffIR (Xia et al., ICCV 2023).
"""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

NORM_EPS = 1e-5
MODULATION_STD = 0.01  # our choice: the prior has an effect from the first step, but a small one
LEAKY_SLOPE = 0.1  # all LeakyReLUs of CPEN and of the denoiser


class Modulation(nn.Module):
    """Gain and shift of every channel as linear functions of the prior z: x * gain(z) + shift(z).

    The gain is not written as 1 + gain(z), so a prior near zero would suppress the signal of the block. Therefore the
    gain is initialised to the mean of the prior, and CPEN and the denoiser are initialised so that it is near one.

    Networks without a prior (``prior_width`` 0) have the constant 1 in its place, (B, 1): the weights of the linear
    layer are the gain and the shift themselves.
    """

    def __init__(self, channels: int, prior_width: int) -> None:
        super().__init__()
        width = max(prior_width, 1)
        self.linear = nn.Linear(width, 2 * channels, bias=False)
        if self.linear.weight.is_meta:  # no values to draw, and torch would load its compiler, which takes 2 s
            return
        nn.init.normal_(self.linear.weight, std=MODULATION_STD if prior_width else 0.0)
        with torch.no_grad():
            self.linear.weight[:channels] += 1 / width

    def forward(self, prior: Tensor) -> tuple[Tensor, Tensor]:
        """Gain and shift, each (B, C), from a prior (B, P)."""
        gain, shift = self.linear(prior).chunk(2, dim=1)
        return gain, shift


class ChannelNorm(nn.Module):
    """Layer norm over the channels of each pixel, followed by the modulation.

    With ``bias=False`` it divides by the standard deviation without subtracting the mean, as Restormer's "BiasFree".
    """

    def __init__(self, channels: int, *, bias: bool) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(channels))
        self.bias = nn.Parameter(torch.zeros(channels)) if bias else None

    def fold(self, modulation: tuple[Tensor, Tensor]) -> tuple[Tensor, Tensor]:
        """Combine the norm's weight and bias with the modulation into one gain and one shift, each (B, C)."""
        gain, shift = modulation
        return gain * self.weight, shift if self.bias is None else torch.addcmul(shift, gain, self.bias)

    def forward(self, x: Tensor, modulation: tuple[Tensor, Tensor]) -> Tensor:
        """Normalise and modulate a map (B, C, H, W); the result is channels last, whatever the layout of x."""
        gain, shift = self.fold(modulation)
        pixels = x.permute(0, 2, 3, 1)  # a view, which costs nothing for channels-last maps
        # With one image, gain and shift serve as weight and bias of the layer norm.
        if self.bias is not None and len(x) == 1:
            modulated = F.layer_norm(pixels, gain.shape[1:], gain[0], shift[0], NORM_EPS)
        else:
            modulated = torch.addcmul(shift[:, None, None], self._normed(pixels), gain[:, None, None])
        return modulated.permute(0, 3, 1, 2)

    def _normed(self, pixels: Tensor) -> Tensor:
        if self.bias is not None:
            return F.layer_norm(pixels, pixels.shape[-1:], eps=NORM_EPS)
        return pixels * torch.rsqrt(pixels.var(-1, keepdim=True, correction=0) + NORM_EPS)


def init_kaiming(network: nn.Module) -> None:
    """Initialise convolutions and linear layers to preserve the variance of the signal (He et al., ICCV 2015, eq. 14).

    torch's default initialisation shrinks the signal by 0.6 per layer. After the ten layers of CPEN the priors of all
    images would then agree to a thousandth, and the first steps could learn little from their differences.
    """
    for layer in network.modules():
        if isinstance(layer, nn.Conv2d | nn.Linear) and not layer.weight.is_meta:
            nn.init.kaiming_normal_(layer.weight, a=LEAKY_SLOPE)
            assert layer.bias is not None
            nn.init.zeros_(layer.bias)


def init_bias_to_one(layer: nn.Module) -> None:
    """Initialise the bias of the last layer before a prior to one; ``Modulation`` says why."""
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
