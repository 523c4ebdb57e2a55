"""Gaussian and Poisson noise, as denoising papers and Real-ESRGAN add them to training images.

In: one image (1, 3, H, W) float in [0, 1] on any device, and its ``Draw``. Out: the same shape, not clipped, because
denoising benchmarks measure on noise that is not clipped.
"""

import math
from dataclasses import dataclass
from typing import Annotated

import torch
from torch import Tensor

from diffir.degradations.draw import Draw
from diffir.field_ranges import Within, check_fields


@dataclass(frozen=True)
class GaussianNoise:
    """y = x + n, n ~ N(0, (sigma/255)^2), the same sigma for all pixels of an image.

    sigma is drawn evenly from [low, high]. With the probability ``gray_prob`` all three channels get the same noise.
    """

    sigma: Annotated[tuple[float, float], Within(0)]
    """Standard deviation in units of 1/255."""
    gray_prob: Annotated[float, Within(0, 1)] = 0.0
    """Share of images whose noise is grey."""

    def __post_init__(self) -> None:
        check_fields(self)

    def __call__(self, image: Tensor, draw: Draw) -> Tensor:
        sigma = draw.uniform(*self.sigma) / 255
        channels = 1 if draw.happens(self.gray_prob) else image.shape[1]
        return image + sigma * draw.normal(1, channels, *image.shape[2:]).to(image)


@dataclass(frozen=True)
class PoissonNoise:
    """y = x + s (P(x v) / v - x), P Poisson: shot noise, whose variance grows with brightness.

    v is the number of distinct 8-bit levels of the image, rounded up to a power of two; s is drawn evenly from
    ``scale``. With the probability ``gray_prob`` the noise is that of the image's BT.601 luma and is the same in all
    channels. Wang et al., "Real-ESRGAN", ICCVW 2021.
    """

    scale: Annotated[tuple[float, float], Within(0)]
    """Factor s on the noise; 1 is the noise of v photons in a white pixel."""
    gray_prob: Annotated[float, Within(0, 1)] = 0.0
    """Share of images whose noise is grey."""

    def __post_init__(self) -> None:
        check_fields(self)

    def __call__(self, image: Tensor, draw: Draw) -> Tensor:
        scale = draw.uniform(*self.scale)
        source = luma(image) if draw.happens(self.gray_prob) else image
        # Count the levels of this image to find the number of photons of a white pixel.
        levels = (source.clamp(0, 1) * 255).round()
        count = 2 ** math.ceil(math.log2(max(torch.unique(levels).numel(), 2)))
        # Draw the photons on the CPU, where the generator lies.
        rate = (levels / 255 * count).cpu()
        shot = torch.poisson(rate, generator=draw.generator) / count - rate / count
        return image + scale * shot.to(image)


def luma(image: Tensor) -> Tensor:
    """Return the ITU-R BT.601 luma of RGB, full range; (1, 3, H, W) -> (1, 1, H, W)."""
    red, green, blue = image[:, :3].split(1, dim=1)
    return 0.299 * red + 0.587 * green + 0.114 * blue
