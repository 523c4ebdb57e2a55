"""Change of size as a step: by a drawn scale, back to the clean size, and MATLAB's bicubic of the benchmarks.

In: one image (1, C, H, W) float on any device, and its ``Draw``. Out: another size. ``area``, ``bilinear`` and
``bicubic`` are torch's without antialiasing, as in Real-ESRGAN: aliasing belongs to the damage.
"""

from dataclasses import dataclass
from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor

from diffir.degradations.draw import Draw
from diffir.degradations.ranges import check_range
from diffir.degradations.resize import imresize
from diffir.errors import ConfigError

Mode = Literal["area", "bilinear", "bicubic"]
ALL_MODES: tuple[Mode, ...] = ("area", "bilinear", "bicubic")


@dataclass(frozen=True)
class Resize:
    """Both sides times a scale: drawn evenly from [low, 1] with the weight of down, from [1, high] with that of up.

    Wang et al., "Real-ESRGAN", ICCVW 2021.
    """

    scale: tuple[float, float]
    """[low, high]; 1 keeps the size."""
    up_down_keep: tuple[float, float, float] = (0.2, 0.7, 0.1)
    """Weights of the three cases."""
    modes: tuple[Mode, ...] = ALL_MODES
    """One is drawn."""

    def __post_init__(self) -> None:
        check_range("scale", self.scale, lowest=0.05, highest=8)
        if not self.scale[0] <= 1 <= self.scale[1]:
            raise ConfigError(f"scale must be a range around 1, got {list(self.scale)}")
        if min(self.up_down_keep) < 0 or sum(self.up_down_keep) <= 0:
            raise ConfigError("up_down_keep must be three weights of 0 or more, one above 0")

    def __call__(self, image: Tensor, draw: Draw) -> Tensor:
        case = draw.choose(["up", "down", "keep"], self.up_down_keep)
        ranges = {"up": (1.0, self.scale[1]), "down": (self.scale[0], 1.0), "keep": (1.0, 1.0)}
        scale = draw.uniform(*ranges[case])
        height, width = (max(1, round(side * scale)) for side in image.shape[2:])
        return resize_to(image, (height, width), draw.choose(self.modes))


@dataclass(frozen=True)
class ResizeBack:
    """To the size of the clean image divided by ``scale``: the last word on the size of lq."""

    scale: int = 1
    modes: tuple[Mode, ...] = ALL_MODES

    def __post_init__(self) -> None:
        if self.scale < 1:
            raise ConfigError(f"scale must be 1 or more, got {self.scale}")

    def __call__(self, image: Tensor, draw: Draw) -> Tensor:
        height, width = (side // self.scale for side in draw.clean_size)
        return resize_to(image, (height, width), draw.choose(self.modes))


@dataclass(frozen=True)
class MatlabBicubic:
    """Both sides divided by ``scale``, as MATLAB's imresize does it (``resize.imresize``): the benchmarks' lq."""

    scale: int

    def __post_init__(self) -> None:
        if self.scale < 1:
            raise ConfigError(f"scale must be 1 or more, got {self.scale}")

    def __call__(self, image: Tensor, draw: Draw) -> Tensor:
        pixels = image[0].permute(1, 2, 0).cpu().numpy()
        small = torch.from_numpy(imresize(pixels, 1 / self.scale))
        return small.permute(2, 0, 1)[None].to(image)


def resize_to(image: Tensor, size: tuple[int, int], mode: Mode) -> Tensor:
    """(1, C, H, W) to (height, width); nothing happens where the size is right."""
    if tuple(image.shape[2:]) == size:
        return image
    return F.interpolate(image, size, mode=mode, align_corners=None if mode == "area" else False)
