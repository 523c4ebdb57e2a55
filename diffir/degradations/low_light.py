"""Low light: the photo as a sensor would have taken it with a fraction of the light, noise and cast included.

In: one image (1, 3, H, W) float around [0, 1], sRGB, any device, and its ``Draw``. Out: the same shape in [0, 1].
Laws: the sRGB curve (IEC 61966-2-1); photons arrive Poisson-distributed, the amplifier adds Gaussian noise (Foi et al.,
"Practical Poissonian-Gaussian noise modeling", TIP 2008).
"""

from dataclasses import dataclass
from typing import Annotated

import torch
from torch import Tensor

from diffir.degradations.draw import Draw
from diffir.degradations.shapes.srgb import to_linear, to_srgb
from diffir.field_ranges import Within, check_fields


@dataclass(frozen=True)
class LowLight:
    """y = srgb(e^-regained (P(N e x_c) + n) / N), x_c = linear(x) times a cast, e = 2^-stops, n ~ N(0, read^2).

    The pairs of LOL (Wei et al., BMVC 2018) at hand lie 3 to 6 stops apart, their noise at one grey level in the dark.
    """

    stops: Annotated[tuple[float, float], Within(0, 12)] = (2.0, 6.0)
    """How much less light there is; each stop is a half."""
    electrons: Annotated[tuple[float, float], Within(10, 1e6)] = (3000.0, 40000.0)
    """N: electrons of a white pixel in full light; 3000 a telephone, 40000 a large sensor. Drawn on a log scale."""
    read: Annotated[tuple[float, float], Within(0, 1000)] = (1.0, 4.0)
    """Of the amplifier, electrons."""
    regained: Annotated[tuple[float, float], Within(0, 1)] = (0.0, 0.0)
    """Share of the stops by which the dark photo is brightened again, with its noise; 1 is the old brightness."""
    cast: Annotated[float, Within(0, 4)] = 0.4
    """How far red and blue may lie from green, stops."""

    def __post_init__(self) -> None:
        check_fields(self)

    def __call__(self, image: Tensor, draw: Draw) -> Tensor:
        exposure = 2.0 ** -draw.uniform(*self.stops)
        low, high = self.electrons
        full = low * (high / low) ** draw.uniform(0, 1)
        read, gain = draw.uniform(*self.read), exposure ** -draw.uniform(*self.regained)
        red, blue = (2.0 ** draw.uniform(-self.cast, self.cast) for _ in range(2))
        cast = torch.tensor([red, 1.0, blue]).to(image)[None, :, None, None]
        expected = (full * exposure * cast * to_linear(image)).float().cpu()
        counted = torch.poisson(expected, generator=draw.generator) + read * draw.normal(*expected.shape)
        return to_srgb(gain * counted / full).to(image)
