"""Rain: bright streaks of falling drops in several depths, and the veil of the many that are too far to be seen.

In: one image (1, 3, H, W) float around [0, 1], RGB, any device, and its ``Draw``. Out: the same shape, not clipped.
Model: Yang et al., "Deep Joint Rain Detection and Removal", CVPR 2017 (Rain100L and Rain100H), equations 2 and 3.
"""

from dataclasses import dataclass
from typing import Literal

import numpy as np
import torch
from torch import Tensor

from diffir.degradations.draw import Draw
from diffir.degradations.particles import scatter, streak
from diffir.degradations.ranges import check_choices, check_range

Blend = Literal["add", "screen"]
FURTHER = 0.65  # size of a layer's streaks over that of the layer before; of taste
SHAPES = 4  # streak shapes an image, all layers together, where layers are fewer: one alone looks like a stamp


@dataclass(frozen=True)
class Rain:
    """y = (1 - v) (x + S) + v A, S the streaks; with the blend ``screen``, x + S (1 - x) in place of x + S.

    S adds up ``layers`` of streaks; each layer stands further away, its streaks shorter and thinner by ``FURTHER``.
    """

    density: tuple[float, float] = (5.0, 60.0)
    """Streaks a square of 100 x 100 pixels, all layers together."""
    length: tuple[float, float] = (12.0, 40.0)
    """Of the nearest streaks, pixels."""
    width: tuple[float, float] = (1.0, 3.0)
    """Of the nearest streaks, pixels."""
    angle: tuple[float, float] = (-30.0, 30.0)
    """Of the wind, degrees from vertical."""
    spread: float = 4.0
    """How far single shapes may lean from the wind, degrees."""
    intensity: tuple[float, float] = (0.3, 0.9)
    """Of the brightest streak; 1 is white on black."""
    layers: tuple[int, int] = (1, 3)
    blend: tuple[Blend, ...] = ("add", "screen")
    """One is drawn."""
    veil: tuple[float, float] = (0.0, 0.0)
    """v: share of the light that comes from the veil."""
    airlight: tuple[float, float] = (0.6, 0.9)
    """A: brightness of the veil."""

    def __post_init__(self) -> None:
        check_range("density", self.density, lowest=0)
        check_range("length", self.length, lowest=1, highest=500)
        check_range("width", self.width, lowest=0.5, highest=100)
        check_range("angle", self.angle, lowest=-90, highest=90)
        check_range("spread", (0, self.spread), lowest=0, highest=90)
        check_range("intensity", self.intensity, lowest=0, highest=1)
        check_range("layers", self.layers, lowest=1, highest=5)
        check_range("veil", self.veil, lowest=0, highest=1)
        check_range("airlight", self.airlight, lowest=0, highest=1)
        check_choices("blend", self.blend)

    def __call__(self, image: Tensor, draw: Draw) -> Tensor:
        light = self.streaks((image.shape[2], image.shape[3]), draw).to(image)
        if draw.choose(self.blend) == "screen":
            light = light * (1 - image).clamp(min=0)
        veil, airlight = draw.uniform(*self.veil), draw.uniform(*self.airlight)
        return (1 - veil) * (image + light) + veil * airlight

    def streaks(self, size: tuple[int, int], draw: Draw) -> Tensor:
        """S alone: (1, 1, H, W) float32 in [0, 1] on the CPU."""
        density, intensity = draw.uniform(*self.density), draw.uniform(*self.intensity)
        length, width, wind = draw.uniform(*self.length), draw.uniform(*self.width), draw.uniform(*self.angle)
        layers, random = draw.integer(*self.layers), draw.numpy()
        shapes = max(1, SHAPES // layers)
        light = np.zeros(size, dtype=np.float32)
        for layer in range(layers):
            nearness = FURTHER**layer
            for _ in range(shapes):
                lean = wind + random.uniform(-self.spread, self.spread)
                stretch, swell = random.uniform(0.6, 1.4), random.uniform(0.7, 1.3)
                shape = streak(length * nearness * stretch, max(width * nearness * swell, 0.5), lean)
                light += scatter(size, shape, density / (layers * shapes), random)
        return torch.from_numpy(np.minimum(intensity * light, 1))[None, None]
