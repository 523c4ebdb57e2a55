"""THE TABLE of metrics: name -> function, direction, unit; ``diffir eval`` and ``diffir score`` look metrics up here.

In: a restored image and its ground truth, a protocol; out: one number per metric. A later metric is one more row.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from diffir.errors import ImageError, UsageError
from diffir.metrics.fidelity import psnr, ssim
from diffir.metrics.protocol import Protocol


@dataclass(frozen=True)
class Metric:
    """One row of the table."""

    name: str
    function: Callable[[np.ndarray, np.ndarray], float]
    """(restored, gt) as ``Protocol.apply`` gives them -> score."""
    higher_is_better: bool
    unit: str
    """Empty for a pure number."""
    best: float
    """The score of an image with itself."""
    digits: int
    """Digits behind the point, as papers print them."""
    definition: str
    """What exactly is computed, where papers differ; printed with the protocol."""

    @property
    def heading(self) -> str:
        """Name, direction and unit, as a table's head shows them."""
        return f"{self.name.upper()} {'↑' if self.higher_is_better else '↓'} {self.unit}".rstrip()


METRICS: dict[str, Metric] = {
    metric.name: metric
    for metric in (
        Metric("psnr", psnr, True, "dB", float("inf"), 2, "PSNR over all channels at once"),
        Metric("ssim", ssim, True, "", 1.0, 4, "SSIM 11x11 Gaussian, sigma 1.5, valid area, mean of channels"),
    )
}


def get_metrics(names: Sequence[str]) -> list[Metric]:
    """The rows of these names, in this order.

    Raises:
        UsageError: no name, or one that is not in the table.
    """
    unknown = [name for name in names if name not in METRICS]
    if unknown or not names:
        raise UsageError(f"unknown metric {', '.join(unknown)!r}; known: {', '.join(METRICS)}")
    return [METRICS[name] for name in names]


def measure(
    restored: np.ndarray, gt: np.ndarray, metrics: Sequence[str], protocol: Protocol, *, data_range: float
) -> dict[str, float]:
    """Scores of one image by metric name.

    Args:
        restored: H x W x C, RGB or grey, with the same white as gt.
        gt: the same shape.
        data_range: the value of white: 255 for uint8, 65535 for uint16, 1 for float in [0, 1].

    Raises:
        ImageError: the shapes differ, or an image is too small for the protocol.
        UsageError: an unknown metric.
    """
    if restored.shape != gt.shape:
        raise ImageError(f"sizes differ: restored is {restored.shape}, ground truth is {gt.shape} (H, W, C)")
    pair = protocol.apply(restored, data_range=data_range), protocol.apply(gt, data_range=data_range)
    return {metric.name: metric.function(*pair) for metric in get_metrics(metrics)}
