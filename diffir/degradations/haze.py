"""Haze: with growing distance less light of the scene and more scattered light of the air reaches the camera.

In: one image (1, 3, H, W) float around [0, 1], RGB, any device, and its ``Draw``. Out: the same shape.
Law: Koschmieder 1924. A photo does not contain its depth, so a depth map is drawn: it mixes a ground plane, which rises
from the bottom to the top, with clouds, as in drifting fog. Ranges: Li et al., "Benchmarking Single-Image Dehazing",
TIP 2019 (RESIDE).
"""

from dataclasses import dataclass
from typing import Annotated

import numpy as np
import torch
from torch import Tensor

from diffir.degradations.draw import Draw
from diffir.degradations.shapes.clouds import cloud
from diffir.field_ranges import Within, check_fields


@dataclass(frozen=True)
class Haze:
    """y = x t + A (1 - t), t = exp(-beta d), d the depth in [0, 1], A the colour of the air."""

    beta: Annotated[tuple[float, float], Within(0, 10)] = (0.6, 1.8)
    """Scattering coefficient over the whole depth; 1.8 leaves a sixth of the light of the furthest point."""
    airlight: Annotated[tuple[float, float], Within(0, 1)] = (0.7, 1.0)
    """Brightness of A, in [0, 1]."""
    tint: Annotated[float, Within(0, 0.5)] = 0.04
    """Largest distance of red in A above its brightness and of blue below (warm air), or the reverse (cold air)."""
    patchiness: Annotated[tuple[float, float], Within(0, 1)] = (0.1, 0.6)
    """Weight of the clouds in the depth map; the rest is the ground plane."""
    slope: Annotated[tuple[float, float], Within(0, 1)] = (0.0, 0.0)
    """Difference of A between the two sides of the photo, as a share of A; the sun is on a drawn side."""

    def __post_init__(self) -> None:
        check_fields(self)

    def __call__(self, image: Tensor, draw: Draw) -> Tensor:
        t = self.transmission((image.shape[2], image.shape[3]), draw).to(image)
        brightness, warmth = draw.uniform(*self.airlight), draw.uniform(-self.tint, self.tint)
        air = torch.tensor([brightness + warmth, brightness, brightness - warmth]).clamp(0, 1)
        air = air.to(image)[None, :, None, None]
        if self.slope[1] > 0:  # recipes without a slope draw nothing for it, so their seeds keep their results
            air = (air * self._towards_sun((image.shape[2], image.shape[3]), draw).to(image)).clamp(0, 1)
        return image * t + air * (1 - t)

    def transmission(self, size: tuple[int, int], draw: Draw) -> Tensor:
        """Draw the transmission t alone: (1, 1, H, W) float32 in (0, 1] on the CPU."""
        beta, patchiness = draw.uniform(*self.beta), draw.uniform(*self.patchiness)
        tilt, power = draw.uniform(-0.3, 0.3), draw.uniform(0.7, 2.0)
        # Mix the ground plane and the clouds to one depth map in [0, 1].
        clouds = cloud(size, draw.numpy(), cells=1.5, octaves=4, roughness=0.4)
        depth = (1 - patchiness) * _ground(size, tilt, power) + patchiness * clouds
        return torch.from_numpy(np.exp(-beta * depth).astype(np.float32))[None, None]

    def _towards_sun(self, size: tuple[int, int], draw: Draw) -> Tensor:
        """Draw the brightness of the air over its mean, (1, 1, H, W) float32: a plane that rises to a drawn side."""
        slope, angle = draw.uniform(*self.slope), draw.uniform(0, 2 * np.pi)
        down, across = np.linspace(-0.5, 0.5, size[0])[:, None], np.linspace(-0.5, 0.5, size[1])[None]
        plane = 1 + slope * (np.sin(angle) * down + np.cos(angle) * across)
        return torch.from_numpy(plane.astype(np.float32))[None, None]


def _ground(size: tuple[int, int], tilt: float, power: float) -> np.ndarray:
    """Depth of a ground plane, H x W in [0, 1]: 0 at the bottom, 1 at the top, inclined sideways by ``tilt``."""
    up, across = np.linspace(1, 0, size[0])[:, None], np.linspace(-0.5, 0.5, size[1])[None]
    return np.clip(up + tilt * across, 0, 1) ** power
