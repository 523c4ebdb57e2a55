"""The sRGB curve (IEC 61966-2-1), from pixel values to linear light and back, for degradations that act on light.

In and out: tensors of any shape in [0, 1].
"""

import torch
from torch import Tensor


def to_linear(image: Tensor) -> Tensor:
    """Convert sRGB values to linear light; values outside [0, 1] are clipped first."""
    image = image.clamp(0, 1)
    return torch.where(image <= 0.04045, image / 12.92, ((image + 0.055) / 1.055) ** 2.4)


def to_srgb(light: Tensor) -> Tensor:
    """Convert linear light to sRGB values; values outside [0, 1] are clipped first."""
    light = light.clamp(0, 1)
    return torch.where(light <= 0.0031308, 12.92 * light, 1.055 * light.clamp(min=0.0031308) ** (1 / 2.4) - 0.055)
