"""THE TABLE of baselines: name -> how to make it, and the protocol of its published rows.

In: a name and, where it is known, sigma; out: an object with ``restore(image, mask)``, ``has_mask``, ``scale`` and
``name``, like the restorer of a network.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol as Interface

import numpy as np

from diffir.baselines.classical import Bicubic, Identity, NonLocalMeans, SlidingDct
from diffir.baselines.inpainting import Membrane, OpenCvInpainting
from diffir.errors import UsageError
from diffir.metrics.protocol import Protocol


class Method(Interface):
    """Anything that restores an image; networks and baselines alike."""

    @property
    def name(self) -> str:
        """What tables call it."""
        ...

    @property
    def scale(self) -> int:
        """Side of the output over side of the input."""
        ...

    @property
    def has_mask(self) -> bool:
        """Whether it fills holes, and so needs a mask with every image."""
        ...

    def restore(self, image: np.ndarray, mask: np.ndarray | None = None) -> np.ndarray:
        """Restore one image.

        Args:
            image: H x W x C, RGB or grey, uint8, uint16 or float with white at 1.
            mask: H x W, anything above 0 is a hole; what lies there in ``image`` does not matter.
        Returns:
            The same kind, sides times ``scale``.
        """
        ...


@dataclass(frozen=True)
class Baseline:
    """One row of the table."""

    make: Callable[[float | None], Method]
    """sigma in 1/255, None if unknown -> the method."""
    protocol: Protocol
    """What its published numbers were taken with."""
    summary: str
    """One line, printed with its scores."""
    round_output: bool = True
    """False: scored as it is, because it stands for the input."""
    takes_sigma: bool = False
    """Whether it is told the noise level where that is known, and estimates it elsewhere."""


def _bicubic(scale: int) -> Baseline:
    return Baseline(
        lambda _: Bicubic(f"bicubic_x{scale}", scale),
        Protocol(crop_border=scale, test_y_channel=True, convention="matlab"),
        "MATLAB bicubic imresize in float",
    )


BASELINES: dict[str, Baseline] = {
    "input": Baseline(lambda _: Identity(), Protocol(), "the degraded image, untouched", round_output=False),
    "bicubic_x2": _bicubic(2),
    "bicubic_x3": _bicubic(3),
    "bicubic_x4": _bicubic(4),
    "nlm": Baseline(
        NonLocalMeans,
        Protocol(),
        "scikit-image non-local means, patch 5, distance 6, h 0.8 sigma, fast mode",
        takes_sigma=True,
    ),
    "dct": Baseline(
        SlidingDct,
        Protocol(),
        "sliding 8x8 DCT in opponent colours, hard threshold 3 sigma",
        takes_sigma=True,
    ),
    "telea": Baseline(
        lambda _: OpenCvInpainting("telea"),
        Protocol(),
        "OpenCV inpainting by fast marching (Telea), radius 3 pixels",
    ),
    "navier_stokes": Baseline(
        lambda _: OpenCvInpainting("navier_stokes"),
        Protocol(),
        "OpenCV inpainting along lines of equal brightness (Navier-Stokes), radius 3 pixels",
    ),
    "membrane": Baseline(
        lambda _: Membrane(), Protocol(), "a smooth surface over each hole (Laplace's equation, coarse to fine)"
    ),
}


def get_baseline(name: str, sigma: float | None = None) -> Method:
    """The method of that name.

    Raises:
        UsageError: no such baseline; the message lists all.
    """
    if name not in BASELINES:
        raise UsageError(f"unknown baseline {name!r}; known: {', '.join(BASELINES)}")
    return BASELINES[name].make(sigma)
