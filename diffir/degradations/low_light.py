"""Low light: the photo as a sensor would record it with a fraction of the light, with noise and a colour cast.

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

    The photos of a pair in LOL (Wei et al., BMVC 2018) were measured to lie 3 to 6 stops apart, with noise of one grey
    level in dark areas.
    """

    stops: Annotated[tuple[float, float], Within(0, 12)] = (2.0, 6.0)
    """Loss of light in stops; each stop halves it."""
    electrons: Annotated[tuple[float, float], Within(10, 1e6)] = (3000.0, 40000.0)
    """N: electrons of a white pixel in full light, drawn on a log scale; 3000 is a phone, 40000 a large sensor."""
    read: Annotated[tuple[float, float], Within(0, 1000)] = (1.0, 4.0)
    """Standard deviation of the noise of the amplifier, in electrons."""
    regained: Annotated[tuple[float, float], Within(0, 1)] = (0.0, 0.0)
    """Share of the lost stops by which the photo is brightened again, noise included; 1 restores it fully."""
    cast: Annotated[float, Within(0, 4)] = 0.4
    """Largest colour cast: distance of red and of blue from green, in stops."""

    def __post_init__(self) -> None:
        check_fields(self)

    def __call__(self, image: Tensor, draw: Draw) -> Tensor:
        # Draw the exposure and the sensor.
        exposure = 2.0 ** -draw.uniform(*self.stops)
        low, high = self.electrons
        full = low * (high / low) ** draw.uniform(0, 1)
        read, gain = draw.uniform(*self.read), exposure ** -draw.uniform(*self.regained)
        red, blue = (2.0 ** draw.uniform(-self.cast, self.cast) for _ in range(2))
        cast = torch.tensor([red, 1.0, blue]).to(image)[None, :, None, None]
        # Count the electrons of each pixel on the CPU, where the generator lies.
        expected = (full * exposure * cast * to_linear(image)).float().cpu()
        counted = torch.poisson(expected, generator=draw.generator) + read * draw.normal(*expected.shape)
        return to_srgb(gain * counted / full).to(image)
