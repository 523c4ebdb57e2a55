"""Strokes of a brush as masks: polygonal chains with round ends, as a person would paint over what shall go.

In: one image (1, 3 or 4, H, W) float, any device, and its ``Draw``. Out: (1, 4, H, W), see ``holes``.
Chains and numbers: Suvorov et al., "LaMa", WACV 2022, supplement: headings of up to 4 radians whose sense alternates.
"""

from dataclasses import dataclass

import cv2
import numpy as np
import torch
from torch import Tensor

from diffir.degradations.draw import Draw
from diffir.degradations.holes import HoleStep, scaled
from diffir.degradations.ranges import check_range


@dataclass(frozen=True)
class Strokes(HoleStep):
    """m = union of polygonal chains; LaMa's wide training strokes by default.

    Pixels for a shorter side of 256. A stroke that would take the missing share above ``largest_share`` is left out.
    """

    count: tuple[int, int] = (1, 5)
    segments: tuple[int, int] = (1, 5)
    """Straight pieces a stroke."""
    length: tuple[float, float] = (10.0, 210.0)
    """Of a piece."""
    width: tuple[float, float] = (5.0, 105.0)
    """Of a piece; the pieces of a stroke differ."""
    max_angle: float = 4.0
    """Largest heading of a piece, radians; those of even and odd pieces are mirrored."""
    largest_share: float = 0.9

    def __post_init__(self) -> None:
        check_range("count", self.count, lowest=1, highest=1000)
        check_range("segments", self.segments, lowest=1, highest=100)
        check_range("length", self.length, lowest=0)
        check_range("width", self.width, lowest=0)
        check_range("max_angle", (0, self.max_angle), lowest=0, highest=2 * np.pi)
        check_range("largest_share", (0, self.largest_share), lowest=0, highest=0.99)

    def mask(self, size: tuple[int, int], draw: Draw) -> Tensor:
        random, most = draw.numpy(), self.largest_share * size[0] * size[1]
        mask = np.zeros(size, dtype=np.uint8)
        for _ in range(draw.integer(*self.count)):
            stroked = self._with_stroke(mask, random)
            if cv2.countNonZero(stroked) <= most:
                mask = stroked
        return torch.from_numpy(mask.astype(np.float32))[None, None]

    def _with_stroke(self, mask: np.ndarray, random: np.random.Generator) -> np.ndarray:
        (height, width), grain = mask.shape, scaled(mask.shape)
        stroked, here = mask.copy(), random.uniform((0, 0), (width, height))
        for piece in range(random.integers(*self.segments, endpoint=True)):
            heading = random.uniform(0, self.max_angle) * (-1 if piece % 2 else 1)
            step = random.uniform(*self.length) * grain * np.array([np.sin(heading), np.cos(heading)])
            there = np.clip(here + step, 0, (width - 1, height - 1))
            thickness = max(1, round(random.uniform(*self.width) * grain))
            cv2.line(stroked, _pixel(here), _pixel(there), 1, thickness)
            here = there
        return stroked


def _pixel(point: np.ndarray) -> tuple[int, int]:
    return int(point[0]), int(point[1])
