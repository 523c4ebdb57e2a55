"""Masks and how they are applied: RGB becomes RGB x (1 - mask), and the mask is appended as a fourth channel.

In: one image (1, 3, H, W) float, RGB, any device; or (1, 4, H, W), whose fourth channel is a mask already. Out:
(1, 4, H, W), the mask being 1 where the image is missing and 0 elsewhere. A mask never covers the whole image.
"""

from typing import Protocol

import torch
from torch import Tensor

from diffir.degradations.draw import Draw
from diffir.errors import ConfigError

SIDE = 256
"""Shorter side in pixels of the images that mask sizes refer to; sizes scale with it. LaMa crops to 256."""


class HoleStep(Protocol):
    """y = (x (1 - m), m): a step that draws a mask m and cuts it out. It comes last: other steps take no masks."""

    def mask(self, size: tuple[int, int], draw: Draw) -> Tensor:
        """Draw m alone for (height, width): (1, 1, H, W) float32 on the CPU, 0 or 1, never 1 everywhere."""

    def __call__(self, image: Tensor, draw: Draw) -> Tensor:
        return cut_out(image, self.mask((image.shape[2], image.shape[3]), draw))


def cut_out(image: Tensor, mask: Tensor) -> Tensor:
    """Set the masked pixels to 0; (1, 3 or 4, H, W) and (1, 1, H, W) -> (1, 4, H, W).

    Existing holes stay. If both masks together would cover the whole image, the new one is left out.

    Raises:
        ConfigError: the image has neither 3 nor 4 channels.
    """
    if image.shape[1] not in (3, 4):
        raise ConfigError(f"masks need an image of 3 channels, or 4 with its mask, got {image.shape[1]}")
    mask = mask.to(image)
    if image.shape[1] == 4:
        before = image[:, 3:]
        both = torch.maximum(before, mask)
        mask = before if bool((both == 1).all()) else both
    return torch.cat([image[:, :3] * (1 - mask), mask], dim=1)


def scaled(size: tuple[int, int]) -> float:
    """Return the pixels of an image of this size per pixel of an image whose shorter side is ``SIDE``."""
    return min(size) / SIDE
