"""What years do to a print as a whole: dyes and silver fade, the paper yellows, stains spread.

In: one image (1, 3, H, W) float around [0, 1], RGB, any device, and its ``Draw``. Out: the same shape.
Law: Beer-Lambert. A print's density is minus the logarithm of what it reflects; a dye that fades loses a share of its
density, a stain adds one. The power law holds for gamma-encoded values as for light. Scratches, dust and folds are in
``surface_damage``.
"""

from dataclasses import dataclass
from typing import Annotated

import numpy as np
import torch
from torch import Tensor

from diffir.degradations.draw import Draw
from diffir.degradations.shapes.clouds import cloud
from diffir.field_ranges import Within, check_fields

DEEPEST = 0.1  # the darkest a print can be, gamma-encoded: density 2.2
LUMA = (0.299, 0.587, 0.114)  # ITU-R BT.601
SEPIA = (0.8, 1.0, 1.2)  # density of toned silver in red, green and blue over that in green; of taste
YELLOW = (0.2, 0.45, 1.0)  # what aged paper takes from red, green and blue, over what it takes from blue; of taste


@dataclass(frozen=True)
class Fading:
    """y_c = w_c max(x_c, b)^(k_c u) v: density times k_c u, on paper of colour w_c, with vignette v.

    k_c: share of the density left in each channel; u: unevenness, below 1 in clouds; b = 0.1, the darkest of a print.
    """

    density: Annotated[tuple[float, float], Within(0.05, 2)] = (0.45, 0.95)
    """Share of the density that is left, all channels."""
    dye: Annotated[float, Within(0, 1)] = 0.15
    """How far single channels may be from that: colour prints turn red, green or blue."""
    monochrome_prob: Annotated[float, Within(0, 1)] = 0.5
    """Share of photos that are silver prints: grey or sepia."""
    sepia: Annotated[tuple[float, float], Within(0, 1)] = (0.0, 1.0)
    """Of silver prints; 0 neutral grey, 1 brown."""
    yellow: Annotated[tuple[float, float], Within(0, 1)] = (0.05, 0.4)
    """Share of the blue light that the paper has come to absorb."""
    vignette: Annotated[tuple[float, float], Within(0, 1)] = (0.0, 0.3)
    """How much darker the corners are; 0.3 leaves 70 %."""
    unevenness: Annotated[tuple[float, float], Within(0, 1)] = (0.0, 0.3)
    """Most of the remaining density that is lost in clouds."""

    def __post_init__(self) -> None:
        check_fields(self)

    def __call__(self, image: Tensor, draw: Draw) -> Tensor:
        left, is_monochrome = draw.uniform(*self.density), draw.happens(self.monochrome_prob)
        dyes = [1 + draw.uniform(-self.dye, self.dye) for _ in range(3)]
        sepia, yellow = draw.uniform(*self.sepia), draw.uniform(*self.yellow)
        unevenness, corners = draw.uniform(*self.unevenness), draw.uniform(*self.vignette)
        if is_monochrome:
            image = (image * _colour(LUMA, image)).sum(dim=1, keepdim=True).expand_as(image)
            dyes = [share**sepia for share in SEPIA]
        clouds = torch.from_numpy(cloud((image.shape[2], image.shape[3]), draw.numpy(), cells=2)).to(image)
        faded = image.clamp(DEEPEST, 1) ** (left * _colour(dyes, image) * (1 - unevenness * clouds))
        return faded * (1 - yellow * _colour(YELLOW, image)) * (1 - corners * _from_centre(image))


@dataclass(frozen=True)
class Stains:
    """y_c = x_c T_c^m: a brown layer of transmission T and thickness m, which is thickest at the rim it dried at.

    m = inside / 3 + rim, both from one cloud cut at a height that leaves the drawn share of the photo stained.
    """

    coverage: Annotated[tuple[float, float], Within(0, 1)] = (0.03, 0.3)
    """Share of the photo that is stained."""
    strength: Annotated[tuple[float, float], Within(0, 0.95)] = (0.1, 0.5)
    """Share of the blue light that the rim absorbs; green loses half, red a fifth of its density."""

    def __post_init__(self) -> None:
        check_fields(self)

    def __call__(self, image: Tensor, draw: Draw) -> Tensor:
        thickness = self.thickness((image.shape[2], image.shape[3]), draw).to(image)
        blue = 1 - draw.uniform(*self.strength)
        return image * _colour((blue**0.2, blue**0.5, blue), image) ** thickness

    def thickness(self, size: tuple[int, int], draw: Draw) -> Tensor:
        """m alone: (1, 1, H, W) float32, 0 or more, on the CPU."""
        height = cloud(size, draw.numpy(), cells=2.5, octaves=5)
        over = height - np.quantile(height, 1 - draw.uniform(*self.coverage))
        inside = np.clip(over / 0.02, 0, 1)  # heights reach from 0 to 1: the edge is a few pixels wide
        rim = inside * np.exp(-np.maximum(over, 0) / 0.03)
        return torch.from_numpy((inside / 3 + rim).astype(np.float32))[None, None]


def _colour(channels: tuple[float, ...] | list[float], image: Tensor) -> Tensor:
    return torch.tensor(channels).to(image)[None, :, None, None]


def _from_centre(image: Tensor) -> Tensor:
    """Squared distance from the centre, (1, 1, H, W): 0 there, 1 in the corners."""
    up, across = (torch.linspace(-1, 1, side).to(image) if side > 1 else image.new_zeros(1) for side in image.shape[2:])
    return ((up[:, None] ** 2 + across[None] ** 2) / 2)[None, None]
