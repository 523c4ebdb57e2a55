"""Blur that happens in front of the sensor: a camera that moved, a lens out of focus.

In: one image (1, 3, H, W) float around [0, 1], sRGB, any device, and its ``Draw``. Out: the same shape. Light adds up
as light: with ``linear_light`` the sRGB curve (IEC 61966-2-1) is undone first, so that lamps draw bright trails.
"""

import math
from dataclasses import dataclass
from typing import Annotated

import numpy as np
from torch import Tensor

from diffir.degradations.draw import Draw
from diffir.degradations.shapes.camera_path import camera_path
from diffir.degradations.shapes.convolution import filter2d
from diffir.degradations.shapes.kernels import disc_kernel, path_kernel
from diffir.degradations.shapes.srgb import to_linear, to_srgb
from diffir.errors import ConfigError
from diffir.field_ranges import NotEmpty, Within, check_fields


@dataclass(frozen=True)
class _ApertureSides:
    """Rule for a list of numbers of aperture blades: 0 for a round aperture, or 3 to 32."""

    def check(self, name: str, value: tuple[int, ...]) -> None:
        if any(blades != 0 and not 3 <= blades <= 32 for blades in value):
            raise ConfigError(f"{name} must be 0 (round) or 3 to 32, got {list(value)}")

    def __str__(self) -> str:
        return "0 or 3 to 32"


@dataclass(frozen=True)
class MotionBlur:
    """y = k * x, k what a random camera path leaves behind (``camera_path``), as large as the path needs."""

    length: Annotated[tuple[float, float], Within(0, 300)]
    """From end to end along the path, in pixels."""
    turns: Annotated[tuple[float, float], Within(0, 100)] = (0.5, 4.0)
    """How far the direction drifts during the exposure, standard deviation in radians."""
    impulses: Annotated[tuple[float, float], Within(0, 20)] = (0.0, 0.5)
    """How many times the camera is thrown back, on average."""
    straight_prob: Annotated[float, Within(0, 1)] = 0.2
    """Share of images whose path is a straight line."""
    linear_light: bool = True

    def __post_init__(self) -> None:
        check_fields(self)

    def __call__(self, image: Tensor, draw: Draw) -> Tensor:
        length, turns, impulses = (draw.uniform(*given) for given in (self.length, self.turns, self.impulses))
        if draw.happens(self.straight_prob):
            turns = impulses = 0.0
        path = camera_path(length, turns, impulses, draw.numpy())
        return _exposed(image, path_kernel(path), self.linear_light)


@dataclass(frozen=True)
class DefocusBlur:
    """y = k * x, k the even disc or polygon that a point out of focus becomes (``kernels.disc_kernel``)."""

    radius: Annotated[tuple[float, float], Within(0, 100)]
    """Of the disc, in pixels; a polygon has the same area."""
    softness: Annotated[tuple[float, float], Within(1, 100)] = (1.0, 2.0)
    """Width of the disc's edge, in pixels."""
    blades: Annotated[tuple[int, ...], NotEmpty(), _ApertureSides()] = (0,)
    """Sides of the aperture; one is drawn. 0 is round, as lenses are wide open."""
    linear_light: bool = True

    def __post_init__(self) -> None:
        check_fields(self)

    def __call__(self, image: Tensor, draw: Draw) -> Tensor:
        kernel = disc_kernel(
            draw.uniform(*self.radius),
            softness=draw.uniform(*self.softness),
            blades=draw.choose(self.blades),
            angle=draw.uniform(0, 2 * math.pi),
        )
        return _exposed(image, kernel, self.linear_light)


def _exposed(image: Tensor, kernel: np.ndarray, linear_light: bool) -> Tensor:
    return to_srgb(filter2d(to_linear(image), kernel)) if linear_light else filter2d(image, kernel)
