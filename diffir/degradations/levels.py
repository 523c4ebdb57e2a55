"""Clipping to [0, 1] and rounding to the 256 levels of an 8-bit file.

In: one image (1, C, H, W) float on any device, and its ``Draw``, which is not used. Out: the same shape.
"""

from dataclasses import dataclass

from torch import Tensor

from diffir.degradations.draw import Draw


@dataclass(frozen=True)
class Clip:
    """y = min(max(x, 0), 1): values below black and above white are lost, the others are not rounded."""

    def __call__(self, image: Tensor, draw: Draw) -> Tensor:
        return image.clamp(0, 1)


@dataclass(frozen=True)
class Quantize:
    """y = round(255 clip(x)) / 255: the values that an 8-bit file can hold."""

    def __call__(self, image: Tensor, draw: Draw) -> Tensor:
        return (image.clamp(0, 1) * 255).round() / 255
