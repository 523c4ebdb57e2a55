"""Ageing of a print as a whole: dyes and silver fade, the paper yellows, stains spread.

In: one image (1, 3, H, W) float around [0, 1], RGB, any device, and its ``Draw``. Out: the same shape.
Law: Beer-Lambert. The density of a print is minus the logarithm of the light that it reflects; fading removes a share
of the density, a stain adds density. This power law holds for gamma-encoded values as well as for light. Scratches,
dust and folds are in ``surface_damage``.
"""

from dataclasses import dataclass
from typing import Annotated

import numpy as np
import torch
from torch import Tensor

from diffir.degradations.draw import Draw
from diffir.degradations.shapes.clouds import cloud
from diffir.field_ranges import Within, check_fields

DEEPEST = 0.1  # darkest value of a print, gamma-encoded; its density is 2.2
LUMA = (0.299, 0.587, 0.114)  # ITU-R BT.601
SEPIA = (0.8, 1.0, 1.2)  # density of toned silver in R, G, B over that in green; a matter of taste
YELLOW = (0.2, 0.45, 1.0)  # light that aged paper absorbs in R, G, B over that in blue; a matter of taste


@dataclass(frozen=True)
class Fading:
    """y_c = w_c max(x_c, b)^(k_c u) v: density times k_c u, on paper of colour w_c, with vignette v.

    k_c is the share of the density that is left in channel c, u the unevenness, which lies below 1 inside clouds, and
    b = 0.1 the darkest value of a print.
    """

    density: Annotated[tuple[float, float], Within(0.05, 2)] = (0.45, 0.95)
    """Share of the density that is left, in all channels."""
    dye: Annotated[float, Within(0, 1)] = 0.15
    """Largest deviation of a single channel from ``density``, as a share: colour prints turn red, green or blue."""
    monochrome_prob: Annotated[float, Within(0, 1)] = 0.5
    """Share of photos that are silver prints: grey or sepia."""
    sepia: Annotated[tuple[float, float], Within(0, 1)] = (0.0, 1.0)
    """Toning of silver prints: 0 is neutral grey, 1 is brown."""
    yellow: Annotated[tuple[float, float], Within(0, 1)] = (0.05, 0.4)
    """Share of the blue light that the yellowed paper absorbs."""
    vignette: Annotated[tuple[float, float], Within(0, 1)] = (0.0, 0.3)
    """Loss of light in the corners; 0.3 leaves 70 %."""
    unevenness: Annotated[tuple[float, float], Within(0, 1)] = (0.0, 0.3)
    """Largest share of the remaining density that is lost inside clouds."""

    def __post_init__(self) -> None:
        check_fields(self)

    def __call__(self, image: Tensor, draw: Draw) -> Tensor:
        # Draw the age of this print.
        left, is_monochrome = draw.uniform(*self.density), draw.happens(self.monochrome_prob)
        dyes = [1 + draw.uniform(-self.dye, self.dye) for _ in range(3)]
        sepia, yellow = draw.uniform(*self.sepia), draw.uniform(*self.yellow)
        unevenness, corners = draw.uniform(*self.unevenness), draw.uniform(*self.vignette)
        # A silver print is grey, and its toning takes the place of the dyes.
        if is_monochrome:
            image = (image * _colour(LUMA, image)).sum(dim=1, keepdim=True).expand_as(image)
            dyes = [share**sepia for share in SEPIA]
        # Reduce the density, then apply paper and vignette.
        clouds = torch.from_numpy(cloud((image.shape[2], image.shape[3]), draw.numpy(), cells=2)).to(image)
        faded = image.clamp(DEEPEST, 1) ** (left * _colour(dyes, image) * (1 - unevenness * clouds))
        return faded * (1 - yellow * _colour(YELLOW, image)) * (1 - corners * _from_centre(image))


@dataclass(frozen=True)
class Stains:
    """y_c = x_c T_c^m: a brown layer of transmission T and thickness m, which is thickest at its rim, where it dried.

    m = inside / 3 + rim. Both come from one random field, cut at the height that stains the drawn share of the photo.
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
        """Draw the thickness m alone: (1, 1, H, W) float32, 0 or more, on the CPU."""
        height = cloud(size, draw.numpy(), cells=2.5, octaves=5)
        over = height - np.quantile(height, 1 - draw.uniform(*self.coverage))
        inside = np.clip(over / 0.02, 0, 1)  # heights lie in [0, 1], so the edge is a few pixels wide
        rim = inside * np.exp(-np.maximum(over, 0) / 0.03)
        return torch.from_numpy((inside / 3 + rim).astype(np.float32))[None, None]


def _colour(channels: tuple[float, ...] | list[float], image: Tensor) -> Tensor:
    return torch.tensor(channels).to(image)[None, :, None, None]


def _from_centre(image: Tensor) -> Tensor:
    """Squared distance from the centre, (1, 1, H, W): 0 in the centre, 1 in the corners."""
    up, across = (torch.linspace(-1, 1, side).to(image) if side > 1 else image.new_zeros(1) for side in image.shape[2:])
    return ((up[:, None] ** 2 + across[None] ** 2) / 2)[None, None]
