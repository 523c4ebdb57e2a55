"""The levels a pixel can have: no darker than black, no brighter than white, and in an 8-bit file 256 of them.

In: one image (1, C, H, W) float on any device, and its ``Draw``, of which nothing is drawn. Out: the same shape.
"""

from dataclasses import dataclass

from torch import Tensor

from diffir.degradations.draw import Draw


@dataclass(frozen=True)
class Clip:
    """y = min(max(x, 0), 1): what no screen shows and no file keeps is gone, though in floats still."""

    def __call__(self, image: Tensor, draw: Draw) -> Tensor:
        return image.clamp(0, 1)


@dataclass(frozen=True)
class Quantize:
    """y = round(255 clip(x)) / 255: what any 8-bit file keeps."""

    def __call__(self, image: Tensor, draw: Draw) -> Tensor:
        return (image.clamp(0, 1) * 255).round() / 255
