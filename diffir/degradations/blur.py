"""Blur of a soft lens and ringing of a hard filter: the image is convolved with a drawn kernel, borders mirrored.

In: one image (1, C, H, W) float on any device, and its ``Draw``. Out: the same shape. The kernels and their mixture are
those of Wang et al., "Real-ESRGAN", ICCVW 2021; even variances are those of Zhang et al., "BSRGAN", ICCV 2021.
"""

import math
from dataclasses import dataclass, field
from typing import Annotated, Literal

from torch import Tensor

from diffir.degradations.draw import Draw
from diffir.degradations.shapes.convolution import filter2d
from diffir.degradations.shapes.kernels import Family, bell_kernel, sinc_kernel
from diffir.errors import ConfigError
from diffir.field_ranges import Weights, Within, check_fields

KINDS: dict[str, tuple[Family, bool]] = {
    "iso": ("gaussian", True),
    "aniso": ("gaussian", False),
    "generalized_iso": ("generalized", True),
    "generalized_aniso": ("generalized", False),
    "plateau_iso": ("plateau", True),
    "plateau_aniso": ("plateau", False),
}
"""BasicSR's name of a kind -> family of its kernel, and True if the kernel is isotropic."""


@dataclass(frozen=True)
class OddSides:
    """Rule for the side of a kernel: a pair [low, high] of odd numbers with 3 <= low <= high."""

    def check(self, name: str, value: tuple[int, int]) -> None:
        """Refuse even numbers, numbers below 3, and pairs whose low end exceeds the high one."""
        if not 3 <= value[0] <= value[1] or not all(size % 2 for size in value):
            raise ConfigError(f"{name} must be two odd numbers [low, high] from 3 on, got {list(value)}")

    def __str__(self) -> str:
        return "odd, 3 or more"


@dataclass(frozen=True)
class Blur:
    """y = k * x, k a bell-shaped kernel of a drawn kind, size, width and direction (``kernels.bell_kernel``)."""

    sigma: Annotated[tuple[float, float], Within(0.05)]
    """Standard deviation along each axis of the kernel, in pixels; isotropic kinds draw one for both."""
    kernel_size: Annotated[tuple[int, int], OddSides()] = (7, 21)
    """Odd sides in pixels; each odd size between them is as likely."""
    kinds: Annotated[dict[str, float], Weights()] = field(default_factory=lambda: {"iso": 1.0})
    """Weight of each kind that may be drawn, by its name in ``KINDS``."""
    betag: Annotated[tuple[float, float], Within(0.1)] = (0.5, 4.0)
    """Exponent beta of the generalised kinds; values below and above 1 are equally likely."""
    betap: Annotated[tuple[float, float], Within(0.1)] = (1.0, 2.0)
    """Exponent beta of the plateau kinds; values below and above 1 are equally likely."""
    even_in: Literal["sigma", "variance"] = "sigma"
    """What is drawn evenly: sigma itself, or its square, so that wide kernels are more likely."""

    def __post_init__(self) -> None:
        # The names first: an empty mapping has no weights to check.
        unknown = [str(kind) for kind in self.kinds if kind not in KINDS]
        if unknown or not self.kinds:
            raise ConfigError(f"kinds must be some of {', '.join(KINDS)}, got {', '.join(unknown) or 'none'}")
        check_fields(self)

    def __call__(self, image: Tensor, draw: Draw) -> Tensor:
        size = draw_kernel_size(self.kernel_size, draw)
        family, is_round = KINDS[draw.choose(list(self.kinds), list(self.kinds.values()))]
        first = self._sigma(draw)
        second, angle = (first, 0.0) if is_round else (self._sigma(draw), draw.uniform(-math.pi, math.pi))
        return filter2d(image, bell_kernel(size, (first, second), angle, family=family, beta=self._beta(family, draw)))

    def _sigma(self, draw: Draw) -> float:
        low, high = self.sigma
        return draw.uniform(low, high) if self.even_in == "sigma" else math.sqrt(draw.uniform(low**2, high**2))

    def _beta(self, family: Family, draw: Draw) -> float:
        if family == "gaussian":
            return 1.0
        # The range is split at 1, so that the longer part above 1 is not preferred.
        low, high = self.betag if family == "generalized" else self.betap
        middle = min(max(low, 1.0), high)
        return draw.uniform(low, middle) if draw.happens(0.5) else draw.uniform(middle, high)


@dataclass(frozen=True)
class SincBlur:
    """y = k * x, k a truncated sinc, which leaves the ringing and overshoot of sharpened and recompressed photos."""

    kernel_size: Annotated[tuple[int, int], OddSides()] = (7, 21)
    """Odd sides in pixels; each odd size between them is as likely."""
    cutoff: Annotated[tuple[float, float] | None, Within(0.05, 1)] = None
    """Cut-off frequency in pi radians per pixel. None: [1/3, 1] for kernels below 13 pixels, else [1/5, 1]."""

    def __post_init__(self) -> None:
        check_fields(self)

    def __call__(self, image: Tensor, draw: Draw) -> Tensor:
        size = draw_kernel_size(self.kernel_size, draw)
        # Without a range of its own, the filter has that of Real-ESRGAN for the size of the kernel.
        low, high = self.cutoff or (1 / 3 if size < 13 else 1 / 5, 1.0)
        return filter2d(image, sinc_kernel(size, math.pi * draw.uniform(low, high)))


def draw_kernel_size(given: tuple[int, int], draw: Draw) -> int:
    """Draw an odd size from the range; all odd sizes are equally likely."""
    return given[0] + 2 * draw.integer(0, (given[1] - given[0]) // 2)
