"""Optical blur: a camera that moves during the exposure, and a lens out of focus.

In: one image (1, 3, H, W) float around [0, 1], sRGB, any device, and its ``Draw``. Out: the same shape. A sensor adds
up light, not pixel values: with ``linear_light`` the sRGB curve (IEC 61966-2-1) is undone before the convolution and
applied again afterwards, so that lamps leave bright trails.
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
    """y = k * x, k the time that a random camera path spends at each pixel (``camera_path``)."""

    length: Annotated[tuple[float, float], Within(0, 300)]
    """Length of the path, in pixels."""
    turns: Annotated[tuple[float, float], Within(0, 100)] = (0.5, 4.0)
    """Standard deviation of the drift of the direction during the exposure, in radians."""
    impulses: Annotated[tuple[float, float], Within(0, 20)] = (0.0, 0.5)
    """Mean number of jerks that reverse the direction of the camera."""
    straight_prob: Annotated[float, Within(0, 1)] = 0.2
    """Share of images whose path is a straight line."""
    linear_light: bool = True
    """Convolve light instead of sRGB values."""

    def __post_init__(self) -> None:
        check_fields(self)

    def __call__(self, image: Tensor, draw: Draw) -> Tensor:
        length, turns, impulses = (draw.uniform(*given) for given in (self.length, self.turns, self.impulses))
        if draw.happens(self.straight_prob):
            turns = impulses = 0.0
        path = camera_path(length, turns, impulses, draw.numpy())
        return _blurred(image, path_kernel(path), self.linear_light)


@dataclass(frozen=True)
class DefocusBlur:
    """y = k * x, k the uniform disc or polygon that is the image of a point out of focus (``kernels.disc_kernel``)."""

    radius: Annotated[tuple[float, float], Within(0, 100)]
    """Radius of the disc in pixels; a polygon has the area of that disc."""
    softness: Annotated[tuple[float, float], Within(1, 100)] = (1.0, 2.0)
    """Width of the disc's edge, in pixels."""
    blades: Annotated[tuple[int, ...], NotEmpty(), _ApertureSides()] = (0,)
    """Numbers of sides of the aperture, of which one is drawn; 0 is round, as lenses are at full aperture."""
    linear_light: bool = True
    """Convolve light instead of sRGB values."""

    def __post_init__(self) -> None:
        check_fields(self)

    def __call__(self, image: Tensor, draw: Draw) -> Tensor:
        kernel = disc_kernel(
            draw.uniform(*self.radius),
            softness=draw.uniform(*self.softness),
            blades=draw.choose(self.blades),
            angle=draw.uniform(0, 2 * math.pi),
        )
        return _blurred(image, kernel, self.linear_light)


def _blurred(image: Tensor, kernel: np.ndarray, linear_light: bool) -> Tensor:
    return to_srgb(filter2d(to_linear(image), kernel)) if linear_light else filter2d(image, kernel)
