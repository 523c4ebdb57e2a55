"""Blur: an image convolved with a drawn kernel, borders mirrored.

In: one image (1, C, H, W) float on any device, and its ``Draw``. Out: the same shape.
"""

import math
from dataclasses import dataclass, field

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from diffir.degradations.draw import Draw
from diffir.degradations.kernels import Family, bell_kernel, sinc_kernel
from diffir.degradations.ranges import check_range
from diffir.errors import ConfigError

KINDS: dict[str, tuple[Family, bool]] = {
    "iso": ("gaussian", True),
    "aniso": ("gaussian", False),
    "generalized_iso": ("generalized", True),
    "generalized_aniso": ("generalized", False),
    "plateau_iso": ("plateau", True),
    "plateau_aniso": ("plateau", False),
}
"""BasicSR's names -> family of the kernel, and whether it is round."""


@dataclass(frozen=True)
class Blur:
    """y = k * x, k a bell-shaped kernel of a drawn kind, size, width and direction (``kernels.bell_kernel``).

    The mixture of Wang et al., "Real-ESRGAN", ICCVW 2021. sigma in pixels.
    """

    sigma: tuple[float, float]
    kernel_size: tuple[int, int] = (7, 21)
    """Odd sides in pixels; each odd size between them is as likely."""
    kinds: dict[str, float] = field(default_factory=lambda: {"iso": 1.0})
    """Kind -> weight."""
    betag: tuple[float, float] = (0.5, 4.0)
    """Exponents of the generalised kinds; below and above 1 are equally likely."""
    betap: tuple[float, float] = (1.0, 2.0)
    """Exponents of the plateau kinds."""

    def __post_init__(self) -> None:
        check_range("sigma", self.sigma, lowest=0.05)
        check_kernel_size(self.kernel_size)
        check_range("betag", self.betag, lowest=0.1)
        check_range("betap", self.betap, lowest=0.1)
        unknown = [kind for kind in self.kinds if kind not in KINDS]
        if unknown or not self.kinds:
            raise ConfigError(f"kinds must be some of {', '.join(KINDS)}, got {', '.join(unknown) or 'none'}")
        if min(self.kinds.values()) < 0 or sum(self.kinds.values()) <= 0:
            raise ConfigError("the weights of kinds must be 0 or more, and one above 0")

    def __call__(self, image: Tensor, draw: Draw) -> Tensor:
        size = draw_kernel_size(self.kernel_size, draw)
        family, is_round = KINDS[draw.choose(list(self.kinds), list(self.kinds.values()))]
        first = draw.uniform(*self.sigma)
        second, angle = (first, 0.0) if is_round else (draw.uniform(*self.sigma), draw.uniform(-math.pi, math.pi))
        return filter2d(image, bell_kernel(size, (first, second), angle, family=family, beta=self._beta(family, draw)))

    def _beta(self, family: Family, draw: Draw) -> float:
        if family == "gaussian":
            return 1.0
        low, high = self.betag if family == "generalized" else self.betap
        middle = min(max(low, 1.0), high)
        return draw.uniform(low, middle) if draw.happens(0.5) else draw.uniform(middle, high)


@dataclass(frozen=True)
class SincBlur:
    """y = k * x, k a truncated sinc: the ringing and overshoot of sharpened and recompressed photos.

    The cutoff is drawn evenly from [pi/3, pi] for kernels below 13 pixels and from [pi/5, pi] above, as in Real-ESRGAN.
    """

    kernel_size: tuple[int, int] = (7, 21)

    def __post_init__(self) -> None:
        check_kernel_size(self.kernel_size)

    def __call__(self, image: Tensor, draw: Draw) -> Tensor:
        size = draw_kernel_size(self.kernel_size, draw)
        return filter2d(image, sinc_kernel(size, draw.uniform(math.pi / (3 if size < 13 else 5), math.pi)))


def check_kernel_size(given: tuple[int, int]) -> None:
    """Refuse sizes that are even, below 3 or upside down."""
    if not 3 <= given[0] <= given[1] or not all(size % 2 for size in given):
        raise ConfigError(f"kernel_size must be two odd numbers [low, high] from 3 on, got {list(given)}")


def draw_kernel_size(given: tuple[int, int], draw: Draw) -> int:
    """An odd size of the range."""
    return given[0] + 2 * draw.integer(0, (given[1] - given[0]) // 2)


def filter2d(image: Tensor, kernel: np.ndarray) -> Tensor:
    """Convolve every channel with one kernel, borders mirrored; (1, C, H, W) -> the same."""
    # Zero weights at the rim are common (a narrow bell in a large square) and cost time.
    half = kernel.shape[0] // 2
    while half > 1 and max(np.abs(kernel[[0, -1]]).max(), np.abs(kernel[:, [0, -1]]).max()) < 1e-7:
        kernel, half = kernel[1:-1, 1:-1], half - 1
    weights = torch.from_numpy(np.ascontiguousarray(kernel[::-1, ::-1])).to(image)[None, None]
    channels = image.movedim(1, 0)
    return F.conv2d(mirror_pad(channels, half), weights).movedim(0, 1)


def mirror_pad(images: Tensor, margin: int) -> Tensor:
    """Reflect at the border, however small the image (torch's own padding stops at one period)."""
    rows, columns = (_mirrored(side, margin, images.device) for side in images.shape[2:])
    return images[:, :, rows][:, :, :, columns]


def _mirrored(side: int, margin: int, device: torch.device) -> Tensor:
    if side == 1:
        return torch.zeros(1 + 2 * margin, dtype=torch.long, device=device)
    period = 2 * (side - 1)
    place = torch.arange(-margin, side + margin, device=device) % period
    return torch.minimum(place, period - place)
