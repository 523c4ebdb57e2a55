"""Snow: flakes from distant specks to near, soft discs, elongated by motion, and a veil of flakes too far to be seen.

In: one image (1, 3, H, W) float around [0, 1], RGB, any device, and its ``Draw``. Out: the same shape.
Model: flakes cover the scene (Liu et al., "DesnowNet", TIP 2018, equation 1); the veil over the scene is added here.
"""

from dataclasses import dataclass
from typing import Annotated

import cv2
import numpy as np
import torch
from torch import Tensor

from diffir.degradations.draw import Draw
from diffir.degradations.shapes.particles import scatter, streak
from diffir.field_ranges import Within, check_fields

SHAPES = 6  # different flakes per image, all layers together; a matter of taste


@dataclass(frozen=True)
class Snow:
    """y = a w + (1 - a) ((1 - v) x + v w), a in [0, 1] the opacity of flakes, w their white, v the veil.

    The layers range from the smallest to the largest flakes; flakes of twice the size are half as many.
    """

    density: Annotated[tuple[float, float], Within(0)] = (5.0, 100.0)
    """Number of flakes per square of 100 x 100 pixels, all layers together."""
    flake_size: Annotated[tuple[float, float], Within(0.5, 100)] = (1.2, 9.0)
    """Diameter of the furthest and of the nearest flakes, in pixels."""
    motion: Annotated[tuple[float, float], Within(0, 10)] = (0.0, 2.0)
    """Path of a flake during the exposure, in diameters of the flake."""
    angle: Annotated[tuple[float, float], Within(-90, 90)] = (-50.0, 50.0)
    """Direction of the fall, in degrees from vertical."""
    opacity: Annotated[tuple[float, float], Within(0, 1)] = (0.6, 1.0)
    """Opacity of the clearest flake; large flakes are out of focus and fainter."""
    white: Annotated[tuple[float, float], Within(0, 1)] = (0.85, 1.0)
    """w: brightness of the flakes and of the veil, in [0, 1]."""
    layers: Annotated[tuple[int, int], Within(1, 6)] = (2, 4)
    """Number of layers of flakes."""
    veil: Annotated[tuple[float, float], Within(0, 1)] = (0.0, 0.3)
    """v: share of the light that comes from the veil, in [0, 1]."""

    def __post_init__(self) -> None:
        check_fields(self)

    def __call__(self, image: Tensor, draw: Draw) -> Tensor:
        cover = self.flakes((image.shape[2], image.shape[3]), draw).to(image)
        white, veil = draw.uniform(*self.white), draw.uniform(*self.veil)
        return cover * white + (1 - cover) * ((1 - veil) * image + veil * white)

    def flakes(self, size: tuple[int, int], draw: Draw) -> Tensor:
        """Draw the opacity a alone: (1, 1, H, W) float32 in [0, 1] on the CPU."""
        # Draw what all flakes of this image have in common.
        density, opacity = draw.uniform(*self.density), draw.uniform(*self.opacity)
        motion, wind = draw.uniform(*self.motion), draw.uniform(*self.angle)
        sizes = np.geomspace(*self.flake_size, draw.integer(*self.layers))
        shares, shapes, random = 1 / sizes, SHAPES // len(sizes), draw.numpy()
        # Multiply what each layer lets through; each has a few different flakes, and each flake many copies.
        seen_through = np.ones(size, dtype=np.float32)
        for across, share in zip(sizes, shares / shares.sum(), strict=True):
            for _ in range(shapes):
                shape = _flake(across * random.uniform(0.8, 1.3), motion, wind + random.uniform(-12, 12), random)
                # A flake wider than 4 pixels is out of focus and fainter; a matter of taste.
                faintness = min(1, (4 / across) ** 0.5)
                one = opacity * faintness * scatter(size, shape, density * share / shapes, random)
                seen_through *= 1 - np.minimum(one, 1)
        return torch.from_numpy(1 - seen_through)[None, None]


def _flake(across: float, motion: float, angle: float, random: np.random.Generator) -> np.ndarray:
    """Draw a disc with a wavy, soft rim, 1 inside, blurred along its path; (S, S) float32, S odd."""
    # The disc, whose rim is a circle with two waves along it.
    half = int(np.ceil(0.75 * across)) + 1
    axis = np.arange(-half, half + 1, dtype=np.float64)
    x, y = np.meshgrid(axis, axis)
    turn, waves = np.arctan2(y, x), random.uniform(-1, 1, (2, 3))
    rim = 1 + 0.12 * sum(a * np.cos(k * turn + np.pi * p) for k, (a, p) in enumerate(waves.T, start=2))
    softness = 0.25 * across + 0.5
    disc = np.clip((across / 2 * rim - np.hypot(x, y)) / softness + 0.5, 0, 1)
    # Motion blur along the path of the flake.
    path = streak(max(motion * across, 1), 0.8, angle)
    blurred = cv2.filter2D(np.pad(disc, path.shape[0] // 2), -1, path / path.sum(), borderType=cv2.BORDER_CONSTANT)
    return blurred.astype(np.float32)
