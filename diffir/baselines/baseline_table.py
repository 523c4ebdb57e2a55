"""The table of baselines: for each name, how to make the method and the protocol of its published rows.

In: a name and, if it is known, the noise level sigma. Out: a ``Method``: an object with ``restore(image, mask)``,
``has_mask``, ``scale`` and ``name``, which are also part of a network's restorer.
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
    """The interface of everything that restores an image, baselines and networks alike."""

    @property
    def name(self) -> str:
        """The name of the method in tables."""
        ...

    @property
    def scale(self) -> int:
        """Side of the output divided by the side of the input."""
        ...

    @property
    def has_mask(self) -> bool:
        """True if it fills holes and therefore needs a mask with every image."""
        ...

    def restore(self, image: np.ndarray, mask: np.ndarray | None = None) -> np.ndarray:
        """Restore one image.

        Args:
            image: H x W x C, RGB or grey, uint8, uint16 or float with white at 1.
            mask: H x W, above 0 where pixels are missing; the values of ``image`` there do not matter.
        Returns:
            An image of the same dtype, sides multiplied by ``scale``.
        """
        ...


@dataclass(frozen=True)
class Baseline:
    """One row of the table: how to make a baseline, and how to describe and score it."""

    make: Callable[[float | None], Method]
    """A function that takes sigma in 1/255 (None if it is not known) and returns the method."""
    protocol: Protocol
    """The protocol of its published numbers."""
    summary: str
    """One line of description, which is printed with its scores."""
    round_output: bool = True
    """True if results are rounded to 8 bit before they are scored; False for the untouched input."""
    takes_sigma: bool = False
    """True if it uses the noise level when that is known, and estimates it otherwise."""


def _bicubic(scale: int) -> Baseline:
    return Baseline(
        lambda _: Bicubic(f"bicubic_x{scale}", scale),
        Protocol(crop_border=scale, test_y_channel=True, convention="matlab"),
        "MATLAB bicubic imresize in float",
    )


# The summaries are part of results: a change of words shows as a change in benchmark files.
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
    """Make the baseline of that name; ``sigma`` is the noise level in 1/255 or None.

    Raises:
        UsageError: there is no such baseline; the message lists all.
    """
    if name not in BASELINES:
        raise UsageError(f"unknown baseline {name!r}; known: {', '.join(BASELINES)}")
    return BASELINES[name].make(sigma)
