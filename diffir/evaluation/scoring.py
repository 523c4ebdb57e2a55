"""Method x images x metrics -> scores: the one eye that validation, ``diffir eval`` and baselines share.

In: a function that restores a sample, samples, metrics and a protocol; out: scores per image, their means and every
convention behind them. Knows arrays only: no files, no devices, no networks.
"""

import math
import statistics
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

from diffir.degradations.benchmark_noise import add_benchmark_noise
from diffir.degradations.resize import imresize
from diffir.errors import ImageError, UsageError
from diffir.metrics.protocol import Protocol, luma
from diffir.metrics.table import get_metrics, measure
from diffir.pixels import as_rgb, white

LowResolution = Literal["rgb8", "y_float"]


@dataclass(frozen=True)
class Sample:
    """One image of a benchmark."""

    name: str
    lq: np.ndarray
    """H x W x C, RGB or grey (C = 1): uint8, or float32 with white at 1, which noise may leave on both sides."""
    gt: np.ndarray
    """(H * scale) x (W * scale) x C, uint8 or uint16."""


@dataclass(frozen=True)
class NoiseTest:
    """Clean image -> sample with the noise of published denoising tables."""

    sigma: float
    """Standard deviation in 1/255."""

    def __call__(self, name: str, gt: np.ndarray) -> Sample:
        gt = as_rgb(gt)
        return Sample(name, add_benchmark_noise(gt, self.sigma), gt)

    def __str__(self) -> str:
        return (
            f"Gaussian noise of sigma {self.sigma:g}/255 added in float (RandomState(0) anew for each image), "
            "neither clipped nor rounded"
        )


@dataclass(frozen=True)
class DownscaleTest:
    """Clean image -> sample shrunk by MATLAB's bicubic imresize, after cutting gt to a multiple of the scale.

    ``rgb8``: from 8-bit RGB to 8-bit RGB, bit for bit the published LR files; what networks are given.
    ``y_float``: only the luma, taken and rounded by rgb2ycbcr, shrunk in float and not rounded; the protocol behind
    the published bicubic rows (Dong et al., SRCNN, 2014). A grey file is its own luma, as there.
    """

    scale: int
    low_resolution: LowResolution = "rgb8"

    def __call__(self, name: str, gt: np.ndarray) -> Sample:
        height, width = (side - side % self.scale for side in gt.shape[:2])
        gt = gt[:height, :width]
        if self.low_resolution == "rgb8":
            gt = as_rgb(gt)
            return Sample(name, imresize(gt, 1 / self.scale), gt)
        if gt.shape[2] == 3:
            gt = luma(gt, rounded=True).astype(np.uint8)
        return Sample(name, imresize(gt / np.float32(255), 1 / self.scale), gt)

    def __str__(self) -> str:
        made = {"rgb8": "8-bit RGB, rounded", "y_float": "luma of rgb2ycbcr, float, not rounded (SRCNN protocol)"}
        return f"shrunk x{self.scale} by MATLAB bicubic imresize: {made[self.low_resolution]}"


@dataclass(frozen=True)
class ImageScores:
    """What one image got."""

    name: str
    scores: dict[str, float]
    seconds: float
    """Wall time of restoring alone."""


@dataclass(frozen=True)
class Evaluation:
    """What a method got on a benchmark."""

    images: tuple[ImageScores, ...]
    protocol: Protocol
    round_output: bool

    @property
    def means(self) -> dict[str, float]:
        """Mean over the images, by metric."""
        return {name: statistics.fmean(i.scores[name] for i in self.images) for name in self.images[0].scores}

    @property
    def seconds(self) -> float:
        """Mean wall time an image."""
        return statistics.fmean(image.seconds for image in self.images)

    def to_dict(self, *, timed: bool = True) -> dict[str, Any]:
        """Plain types, ready for JSON; what is not finite becomes a string, which JSON can hold.

        Args:
            timed: with the seconds of each image; off where nothing was restored.
        """
        return {
            "means": _plain(self.means),
            "crop_border": self.protocol.crop_border,
            "test_y_channel": self.protocol.test_y_channel,
            "convention": self.protocol.convention,
            "round_output": self.round_output,
            "images": [
                {"name": i.name, **_plain(i.scores), **({"seconds": i.seconds} if timed else {})} for i in self.images
            ],
        }


def evaluate(
    restore: Callable[[Sample], np.ndarray],
    samples: Iterable[Sample],
    metrics: Sequence[str],
    protocol: Protocol,
    *,
    round_output: bool = True,
) -> Evaluation:
    """Restore every sample and score it.

    Args:
        restore: sample -> restored image of the size of ``sample.gt``, uint8, uint16 or float with white at 1.
        samples: drawn one by one, so a generator keeps one image in memory.
        metrics: names of ``diffir.metrics.table.METRICS``.
        protocol: colour, border and rounding of luma.
        round_output: clip and round what was restored to 8 bit, as a file would be; off only for the untouched input.

    Raises:
        UsageError: an unknown metric, or no sample at all.
        ImageError: a restored image of the wrong size; the message names the sample.
    """
    get_metrics(metrics)
    images = tuple(_score(restore, sample, metrics, protocol, round_output) for sample in samples)
    if not images:
        raise UsageError("there is no image to evaluate")
    return Evaluation(images, protocol, round_output)


def _score(
    restore: Callable[[Sample], np.ndarray],
    sample: Sample,
    metrics: Sequence[str],
    protocol: Protocol,
    round_output: bool,
) -> ImageScores:
    start = time.perf_counter()
    restored = restore(sample)
    seconds = time.perf_counter() - start
    restored = _on_8bit_scale(restored)
    if round_output:
        restored = np.clip(np.rint(restored), 0, 255)
    try:
        scores = measure(restored, _on_8bit_scale(sample.gt), metrics, protocol, data_range=255)
    except ImageError as error:
        raise ImageError(f"{sample.name}: {error}") from error
    return ImageScores(sample.name, scores, seconds)


def _on_8bit_scale(image: np.ndarray) -> np.ndarray:
    """float64 with white at 255, from uint8, uint16 or float with white at 1."""
    return image.astype(np.float64) * (255 / white(image.dtype))


def _plain(scores: dict[str, float]) -> dict[str, float | str]:
    return {name: value if math.isfinite(value) else str(value) for name, value in scores.items()}
