"""Clipping to [0, 1], rounding to the 256 levels of an 8-bit file, and the step that marks the ground truth.

In: one image (1, C, H, W) float on any device, and its ``Draw``. Out: the same shape.
"""

from dataclasses import dataclass

from torch import Tensor

from diffir.degradations.draw import Draw
from diffir.errors import ConfigError


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


@dataclass(frozen=True)
class GroundTruth:
    """y = x, clipped and kept as the ground truth: what earlier steps did to the image is not to be undone.

    A network that only sees sharp ground truth learns to sharpen every soft edge. Real photos are soft where the lens
    was out of focus, and a blur before this step teaches the network to leave that as it is.
    """

    def __call__(self, image: Tensor, draw: Draw) -> Tensor:
        if image.shape[1] != 3 or tuple(image.shape[2:]) != draw.clean_size:
            height, width = draw.clean_size
            raise ConfigError(
                f"ground_truth needs RGB of the clean image's size, {width} x {height}; here the image has "
                f"{image.shape[1]} channels and {image.shape[3]} x {image.shape[2]} pixels; resize_back comes before it"
            )
        draw.ground_truth = image.clamp(0, 1)
        return image
