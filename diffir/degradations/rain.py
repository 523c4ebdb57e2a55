"""Rain: bright streaks of falling drops at several depths, and a veil of the drops that are too far to be seen.

In: one image (1, 3, H, W) float around [0, 1], RGB, any device, and its ``Draw``. Out: the same shape, not clipped.
Model: Yang et al., "Deep Joint Rain Detection and Removal", CVPR 2017 (Rain100L and Rain100H), equations 2 and 3.
Streaks differ in size and are brighter at one end: Garg and Nayar, "Photorealistic Rendering of Rain Streaks", 2006.
"""

from dataclasses import dataclass
from typing import Annotated, Literal

import numpy as np
import torch
from torch import Tensor

from diffir.degradations.draw import Draw
from diffir.degradations.shapes.particles import scatter, streak
from diffir.field_ranges import NotEmpty, Within, check_fields

Blend = Literal["add", "screen"]
LAYER_SHRINK = 0.65  # size of the streaks of a layer over those of the layer before; a matter of taste


@dataclass(frozen=True)
class Rain:
    """y = (1 - v) (x + S) + v A, S the streaks; with the blend ``screen``, x + S (1 - x) in place of x + S.

    S is the sum of several layers of streaks. Each layer is further away than the one before: its streaks are shorter
    and thinner by the factor ``LAYER_SHRINK``.
    """

    density: Annotated[tuple[float, float], Within(0)] = (5.0, 60.0)
    """Number of streaks per square of 100 x 100 pixels, all layers together."""
    length: Annotated[tuple[float, float], Within(1, 500)] = (12.0, 40.0)
    """Length of the nearest streaks, in pixels."""
    width: Annotated[tuple[float, float], Within(0.5, 100)] = (1.0, 3.0)
    """Width of the nearest streaks, in pixels."""
    angle: Annotated[tuple[float, float], Within(-90, 90)] = (-30.0, 30.0)
    """Direction of the wind, in degrees from vertical."""
    spread: Annotated[float, Within(0, 90)] = 4.0
    """Largest angle between a streak and the wind, in degrees."""
    shapes: Annotated[int, Within(1, 64)] = 4
    """Number of different streaks in an image, at least one per layer; a single one would look like a stamp."""
    variety: Annotated[float, Within(0, 0.9)] = 0.4
    """Largest deviation of the length and width of a streak from the drawn ones, as a share of them."""
    head: Annotated[tuple[float, float], Within(-1, 1)] = (0.0, 0.0)
    """Brightest place of a streak: 0 is its middle, 1 its upper tip, -1 its lower tip."""
    faintest: Annotated[float, Within(0, 1)] = 0.3
    """Brightness of the faintest streak over that of the brightest."""
    intensity: Annotated[tuple[float, float], Within(0, 1)] = (0.3, 0.9)
    """Brightness of the brightest streak; 1 is white on black."""
    layers: Annotated[tuple[int, int], Within(1, 5)] = (1, 3)
    """Number of layers of streaks."""
    blend: Annotated[tuple[Blend, ...], NotEmpty()] = ("add", "screen")
    """Ways to add the streaks to the image, of which one is drawn."""
    veil: Annotated[tuple[float, float], Within(0, 1)] = (0.0, 0.0)
    """v: share of the light that comes from the veil, in [0, 1]."""
    airlight: Annotated[tuple[float, float], Within(0, 1)] = (0.6, 0.9)
    """A: brightness of the veil, in [0, 1]."""

    def __post_init__(self) -> None:
        check_fields(self)

    def __call__(self, image: Tensor, draw: Draw) -> Tensor:
        light = self.streaks((image.shape[2], image.shape[3]), draw).to(image)
        if draw.choose(self.blend) == "screen":
            light = light * (1 - image).clamp(min=0)
        veil, airlight = draw.uniform(*self.veil), draw.uniform(*self.airlight)
        return (1 - veil) * (image + light) + veil * airlight

    def streaks(self, size: tuple[int, int], draw: Draw) -> Tensor:
        """Draw the streaks S alone: (1, 1, H, W) float32 in [0, 1] on the CPU."""
        # Draw what all streaks of this image have in common.
        density, intensity = draw.uniform(*self.density), draw.uniform(*self.intensity)
        length, width, wind = draw.uniform(*self.length), draw.uniform(*self.width), draw.uniform(*self.angle)
        layers, random = draw.integer(*self.layers), draw.numpy()
        shapes = max(1, self.shapes // layers)
        # Add up the layers; each has a few different streaks, and each streak many copies.
        light = np.zeros(size, dtype=np.float32)
        for layer in range(layers):
            for _ in range(shapes):
                longer, wider = LAYER_SHRINK**layer * random.uniform(1 - self.variety, 1 + self.variety, 2)
                lean = wind + random.uniform(-self.spread, self.spread)
                shape = streak(length * longer, max(width * wider, 0.5), lean, random.uniform(*self.head))
                light += scatter(size, shape, density / (layers * shapes), random, faintest=self.faintest)
        return torch.from_numpy(np.minimum(intensity * light, 1))[None, None]
