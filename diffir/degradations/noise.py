"""Noise: what a sensor adds to a photo.

In: clean images (B, 3, H, W) float in [0, 1] on any device, and a generator. Out: the same shape, not clipped, because
benchmarks of this field measure on unclipped noise.
"""

from dataclasses import dataclass

import torch
from torch import Tensor

from diffir.errors import ConfigError


@dataclass(frozen=True)
class GaussianNoise:
    """y = x + n, n ~ N(0, (sigma/255)^2), the same sigma for all pixels and channels of an image.

    sigma is drawn for each image, evenly from ``sigma`` = (lowest, highest), in units of 1/255.
    """

    sigma: tuple[float, float]

    def __post_init__(self) -> None:
        if not 0 <= self.sigma[0] <= self.sigma[1]:
            raise ConfigError(
                f"gaussian_noise: sigma must be [low, high] with 0 <= low <= high, got {list(self.sigma)}"
            )

    def __call__(self, images: Tensor, generator: torch.Generator) -> Tensor:
        low, high = (sigma / 255 for sigma in self.sigma)
        device = images.device
        sigma = torch.rand(len(images), 1, 1, 1, generator=generator, device=device) * (high - low) + low
        return images + sigma * torch.randn(images.shape, generator=generator, device=device)
