"""Brush strokes as masks: polygonal chains with round ends, as a person would paint over an object.

In: one image (1, 3 or 4, H, W) float, any device, and its ``Draw``. Out: (1, 4, H, W), see ``holes``.
Shapes and numbers: Suvorov et al., "LaMa", WACV 2022, supplement: headings of up to 4 radians whose sign alternates.
"""

from dataclasses import dataclass
from typing import Annotated

import cv2
import numpy as np
import torch
from torch import Tensor

from diffir.degradations.draw import Draw
from diffir.degradations.holes import HoleStep, scaled
from diffir.field_ranges import Within, check_fields


@dataclass(frozen=True)
class Strokes(HoleStep):
    """m = union of polygonal chains; the defaults are LaMa's wide training strokes.

    Sizes are in pixels of an image whose shorter side is 256. A stroke that would raise the missing share above
    ``largest_share`` is left out.
    """

    count: Annotated[tuple[int, int], Within(1, 1000)] = (1, 5)
    """Number of strokes in a mask."""
    segments: Annotated[tuple[int, int], Within(1, 100)] = (1, 5)
    """Number of straight segments of a stroke."""
    length: Annotated[tuple[float, float], Within(0)] = (10.0, 210.0)
    """Length of a segment, in pixels."""
    width: Annotated[tuple[float, float], Within(0)] = (5.0, 105.0)
    """Width of a segment, in pixels; it is drawn for each segment."""
    max_angle: Annotated[float, Within(0, 2 * np.pi)] = 4.0
    """Largest heading of a segment, in radians; the headings of every second segment are negative."""
    largest_share: Annotated[float, Within(0, 0.99)] = 0.9
    """Largest share of the image that may be missing."""

    def __post_init__(self) -> None:
        check_fields(self)

    def mask(self, size: tuple[int, int], draw: Draw) -> Tensor:
        random, most = draw.numpy(), self.largest_share * size[0] * size[1]
        mask = np.zeros(size, dtype=np.uint8)
        # Add the strokes one by one, except those that make too much missing.
        for _ in range(draw.integer(*self.count)):
            stroked = self._with_stroke(mask, random)
            if cv2.countNonZero(stroked) <= most:
                mask = stroked
        return torch.from_numpy(mask.astype(np.float32))[None, None]

    def _with_stroke(self, mask: np.ndarray, random: np.random.Generator) -> np.ndarray:
        (height, width), grain = mask.shape, scaled(mask.shape)
        stroked, here = mask.copy(), random.uniform((0, 0), (width, height))
        for segment in range(random.integers(*self.segments, endpoint=True)):
            heading = random.uniform(0, self.max_angle) * (-1 if segment % 2 else 1)
            step = random.uniform(*self.length) * grain * np.array([np.sin(heading), np.cos(heading)])
            there = np.clip(here + step, 0, (width - 1, height - 1))
            thickness = max(1, round(random.uniform(*self.width) * grain))
            cv2.line(stroked, _pixel(here), _pixel(there), 1, thickness)
            here = there
        return stroked


def _pixel(point: np.ndarray) -> tuple[int, int]:
    return int(point[0]), int(point[1])
