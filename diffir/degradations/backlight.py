"""Backlight: the dark parts of a photo lie in shadow, and the bright ones, such as the sky, stay as they are.

In: one image (1, 3, H, W) float around [0, 1], sRGB, any device, and its ``Draw``. Out: the same shape in [0, 1].
Law: light is lost in proportion to a smooth map of shadow, which follows from the brightness around each pixel. The
sRGB curve is that of IEC 61966-2-1. The form of the map is our choice.
"""

from dataclasses import dataclass
from typing import Annotated

import cv2
import numpy as np
import torch
from torch import Tensor

from diffir.degradations.draw import Draw
from diffir.degradations.shapes.srgb import to_linear, to_srgb
from diffir.field_ranges import Within, check_fields


@dataclass(frozen=True)
class Backlight:
    """y = srgb(2^(-stops m) linear(x)), with the map of shadow m in [0, 1]: 1 where the surroundings are darkest."""

    stops: Annotated[tuple[float, float], Within(0, 8)] = (1.0, 3.5)
    """Loss of light in the darkest parts, in stops; each stop halves it."""
    reach: Annotated[tuple[float, float], Within(0, 1)] = (0.0, 0.08)
    """Standard deviation of the surroundings as a share of the longer side; small values follow outlines."""
    hardness: Annotated[tuple[float, float], Within(1, 16)] = (1.5, 5.0)
    """Slope of the map at the middle brightness; large values leave little between shadow and light."""

    def __post_init__(self) -> None:
        check_fields(self)

    def __call__(self, image: Tensor, draw: Draw) -> Tensor:
        stops, reach, hardness = (draw.uniform(*limits) for limits in (self.stops, self.reach, self.hardness))
        shadow = torch.from_numpy(shadow_map(image[0].mean(dim=0).float().cpu().numpy(), reach, hardness)).to(image)
        return to_srgb(2.0 ** (-stops * shadow) * to_linear(image)).clamp(0, 1)


def shadow_map(brightness: np.ndarray, reach: float, hardness: float) -> np.ndarray:
    """The map of shadow H x W float32 in [0, 1] of a brightness H x W float32, lowest where it is bright around."""
    around = cv2.GaussianBlur(
        brightness, (0, 0), max(reach * max(brightness.shape), 0.5), borderType=cv2.BORDER_REFLECT
    )
    darkest, brightest = np.percentile(around, (5, 95))
    share = (around - darkest) / max(brightest - darkest, 1e-3)
    return np.clip(0.5 - hardness * (share - 0.5), 0, 1).astype(np.float32)
