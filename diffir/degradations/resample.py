"""Steps that change the size: by a drawn factor, to the size of lq, by decimation, and by MATLAB's bicubic.

In: one image (1, C, H, W) float on any device, and its ``Draw``. Out: an image of another size. ``area``, ``bilinear``
and ``bicubic`` are those of torch without antialiasing, as in Real-ESRGAN (Wang et al., ICCVW 2021), because aliasing
is part of the degradation.
"""

from dataclasses import dataclass, field
from typing import Annotated, Literal

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from diffir.degradations.draw import Draw
from diffir.degradations.resize import imresize
from diffir.degradations.shapes.convolution import filter_separable, gaussian_weights
from diffir.errors import ConfigError
from diffir.field_ranges import NotEmpty, Weights, Within, check_fields
from diffir.pixels import to_float, to_kind

Mode = Literal["area", "bilinear", "bicubic"]
ALL_MODES: tuple[Mode, ...] = ("area", "bilinear", "bicubic")
FROM_RECIPE = {"from_recipe": "scale"}
"""Metadata of a field that takes the scale of its recipe unless the step sets one."""


@dataclass(frozen=True)
class _Around:
    """Rule for a pair [low, high] that must contain ``middle``."""

    middle: float

    def check(self, name: str, value: tuple[float, float]) -> None:
        if not value[0] <= self.middle <= value[1]:
            raise ConfigError(f"{name} must be a range around {self.middle:g}, got {list(value)}")

    def __str__(self) -> str:
        return f"around {self.middle:g}"


FactorRange = Annotated[tuple[float, float], Within(0.05, 8), _Around(1)]
"""[low, high] of a factor on both sides of an image; 1 keeps the size."""


@dataclass(frozen=True)
class Resize:
    """Multiplies both sides by a factor, drawn from [1, high] (up), from [low, 1] (down), or 1 (keep)."""

    scale: FactorRange
    """[low, high] of the factor."""
    up_down_keep: Annotated[tuple[float, float, float], Weights()] = (0.2, 0.7, 0.1)
    """Weights of the three cases up, down and keep."""
    modes: Annotated[tuple[Mode, ...], NotEmpty()] = ALL_MODES
    """Filters, of which one is drawn."""
    even_in: Literal["factor", "inverse"] = "factor"
    """What is drawn evenly: the factor s itself, or 1/s, as Zhang et al., "BSRGAN", ICCV 2021 draw it."""

    def __post_init__(self) -> None:
        check_fields(self)

    def __call__(self, image: Tensor, draw: Draw) -> Tensor:
        factor = _draw_scale(self.scale, self.up_down_keep, draw, is_inverse=self.even_in == "inverse")
        return resize_to(image, _scaled((image.shape[2], image.shape[3]), factor), draw.choose(self.modes))


@dataclass(frozen=True)
class ResizeBack:
    """Resizes to the size of lq, which is the clean size divided by ``scale``, or to that size times a drawn factor."""

    scale: Annotated[int, Within(1)] = field(default=1, metadata=FROM_RECIPE)
    """Side of the clean image over the side of lq; the recipe's scale unless given."""
    modes: Annotated[tuple[Mode, ...], NotEmpty()] = ALL_MODES
    """Filters, of which one is drawn."""
    times: FactorRange = (1.0, 1.0)
    """[low, high] of the factor; 1 is the size of lq itself."""
    up_down_keep: Annotated[tuple[float, float, float], Weights()] = (0.0, 0.0, 1.0)
    """Weights of a factor from [1, high], of one from [low, 1], and of 1."""

    def __post_init__(self) -> None:
        check_fields(self)

    def __call__(self, image: Tensor, draw: Draw) -> Tensor:
        height, width = (max(1, side // self.scale) for side in draw.clean_size)
        # Without a factor nothing is drawn here.
        if self.times != (1.0, 1.0):
            height, width = _scaled((height, width), _draw_scale(self.times, self.up_down_keep, draw))
        return resize_to(image, (height, width), draw.choose(self.modes))


@dataclass(frozen=True)
class Decimate:
    """y = every ``scale``-th pixel of g * x, g a Gaussian around the middle of each block of scale x scale pixels.

    Between two pixels the middle is reached by linear interpolation, so that y is not shifted against the image. Rows
    and columns of an incomplete block are left out. Zhang et al., "BSRGAN", ICCV 2021.
    """

    sigma: Annotated[tuple[float, float], Within(0)]
    """Standard deviation of g in pixels."""
    scale: Annotated[int, Within(1)] = field(default=1, metadata=FROM_RECIPE)
    """Side of the image over the side of y; the recipe's scale unless given."""

    def __post_init__(self) -> None:
        check_fields(self)

    def __call__(self, image: Tensor, draw: Draw) -> Tensor:
        weights = gaussian_weights(draw.uniform(*self.sigma))
        if self.scale % 2 == 0:  # the middle of a block lies half a pixel behind the pixel that is taken
            weights = np.convolve(weights, [0.5, 0.5, 0.0])
        blurred = filter_separable(image, weights)
        rows, columns = (_middles(side, self.scale) for side in image.shape[2:])
        return blurred[:, :, rows, columns]


@dataclass(frozen=True)
class MatlabBicubic:
    """Divides both sides by ``scale`` as MATLAB's imresize does (``resize.imresize``): the lq of the benchmarks."""

    scale: Annotated[int, Within(1)] = field(default=1, metadata=FROM_RECIPE)
    """Side of the clean image over the side of lq; the recipe's scale unless given."""
    eight_bit: bool = False
    """Round to 8 bits before, between and after the two axes, as MATLAB does with the pixels of a file."""

    def __post_init__(self) -> None:
        check_fields(self)

    def __call__(self, image: Tensor, draw: Draw) -> Tensor:
        pixels = image[0].permute(1, 2, 0).cpu().numpy()
        small = imresize(to_kind(pixels, np.uint8) if self.eight_bit else pixels, 1 / self.scale)
        return torch.from_numpy(to_float(small)).permute(2, 0, 1)[None].to(image)


def _draw_scale(
    given: tuple[float, float], up_down_keep: tuple[float, float, float], draw: Draw, *, is_inverse: bool = False
) -> float:
    case = draw.choose(["up", "down", "keep"], up_down_keep)
    ranges = {"up": (1.0, given[1]), "down": (given[0], 1.0), "keep": (1.0, 1.0)}
    low, high = ranges[case]
    return 1 / draw.uniform(1 / high, 1 / low) if is_inverse else draw.uniform(low, high)


def _middles(side: int, scale: int) -> slice:
    """Return the slice of the pixels at or half a pixel before the middle of each complete block, at least of one."""
    first = min((scale - 1) // 2, side - 1)
    return slice(first, max(1, side // scale) * scale, scale)


def _scaled(size: tuple[int, int], scale: float) -> tuple[int, int]:
    return max(1, round(size[0] * scale)), max(1, round(size[1] * scale))


def resize_to(image: Tensor, size: tuple[int, int], mode: Mode) -> Tensor:
    """Resize (1, C, H, W) to (height, width) by torch; an image that has this size is returned as it is."""
    if tuple(image.shape[2:]) == size:
        return image
    return F.interpolate(image, size, mode=mode, align_corners=None if mode == "area" else False)
