"""Rain: bright streaks of falling drops in several depths, and the veil of the many that are too far to be seen.

In: one image (1, 3, H, W) float around [0, 1], RGB, any device, and its ``Draw``. Out: the same shape, not clipped.
Model: Yang et al., "Deep Joint Rain Detection and Removal", CVPR 2017 (Rain100L and Rain100H), equations 2 and 3; that
streaks differ in size and are brighter at one end: Garg and Nayar, "Photorealistic Rendering of Rain Streaks", 2006.
"""

from dataclasses import dataclass
from typing import Literal

import numpy as np
import torch
from torch import Tensor

from diffir.degradations.draw import Draw
from diffir.degradations.ranges import check_choices, check_range
from diffir.degradations.shapes.particles import scatter, streak

Blend = Literal["add", "screen"]
FURTHER = 0.65  # size of a layer's streaks over that of the layer before; of taste


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
    shapes: int = 4
    """Streak shapes of an image, all layers together; one at least for each. One alone looks like a stamp."""
    variety: float = 0.4
    """How far single shapes may be longer or shorter, wider or narrower than drawn, as a share."""
    head: tuple[float, float] = (0.0, 0.0)
    """Brightest place of a shape: 0 its middle, 1 its upper tip, -1 its lower."""
    faintest: float = 0.3
    """Faintest streak over the brightest."""
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
        check_range("shapes", (1, self.shapes), lowest=1, highest=64)
        check_range("variety", (0, self.variety), lowest=0, highest=0.9)
        check_range("head", self.head, lowest=-1, highest=1)
        check_range("faintest", (0, self.faintest), lowest=0, highest=1)
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
        shapes = max(1, self.shapes // layers)
        light = np.zeros(size, dtype=np.float32)
        for layer in range(layers):
            for _ in range(shapes):
                longer, wider = FURTHER**layer * random.uniform(1 - self.variety, 1 + self.variety, 2)
                lean = wind + random.uniform(-self.spread, self.spread)
                shape = streak(length * longer, max(width * wider, 0.5), lean, random.uniform(*self.head))
                light += scatter(size, shape, density / (layers * shapes), random, faintest=self.faintest)
        return torch.from_numpy(np.minimum(intensity * light, 1))[None, None]
