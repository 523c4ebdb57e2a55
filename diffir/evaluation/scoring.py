"""Samples x metrics -> scores of one method, image by image.

In: a function that restores a sample, samples, metrics and a protocol; out: scores per image, their means and every
convention behind them. Knows arrays only: no files, no devices, no networks.
"""

import math
import statistics
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np
import torch

from diffir.errors import ImageError, UsageError
from diffir.evaluation.peak_memory import PeakMemory
from diffir.evaluation.sample import Sample
from diffir.metrics.protocol import Protocol
from diffir.metrics.table import Meter, SetScores
from diffir.pixels import white

Restore = Callable[[Sample], np.ndarray]
"""Sample -> restored image of the size of its ground truth: uint8, uint16 or float with white at 1."""


@dataclass(frozen=True)
class ImageScores:
    """What one image got."""

    name: str
    scores: Mapping[str, float]
    seconds: float | None = None
    """Wall time of restoring alone; None where nothing was restored."""
    width: int = 0
    height: int = 0
    """Of the restored image, in pixels."""
    peak_memory_mb: float | None = None
    """Largest memory while it was restored, see ``peak_memory``; None where nobody looked."""
    threads: int | None = None
    """Of torch when it was timed: kept seconds of another number say nothing of this run."""


@dataclass(frozen=True)
class Evaluation:
    """What a method got on a benchmark."""

    images: tuple[ImageScores, ...]
    protocol: Protocol
    round_output: bool
    of_set: Mapping[str, float] = field(default_factory=dict)
    """Scores of all images at once, such as FID."""
    skipped: Mapping[str, str] = field(default_factory=dict)
    """Metrics that could not be computed, and why."""
    metric_files: Mapping[str, str] = field(default_factory=dict)
    """SHA-256 of the weight files of metrics, by their name."""

    @property
    def means(self) -> dict[str, float]:
        """Mean over the images that have a number, by metric; scores of the set as they are."""
        return {name: _mean(self.values(name)) for name in self.images[0].scores} | dict(self.of_set)

    def values(self, metric: str) -> list[float]:
        """The numbers of the images, without those that have none."""
        return [i.scores[metric] for i in self.images if metric in i.scores and not math.isnan(i.scores[metric])]

    @property
    def unscored(self) -> dict[str, list[str]]:
        """Metric -> names of images that it could not judge."""
        named = {m: [i.name for i in self.images if math.isnan(i.scores[m])] for m in self.images[0].scores}
        return {metric: names for metric, names in named.items() if names}

    @property
    def seconds(self) -> float | None:
        """Mean wall time an image."""
        times = [image.seconds for image in self.images if image.seconds is not None]
        return statistics.fmean(times) if times else None

    @property
    def peak_memory_mb(self) -> float | None:
        """Largest of all images."""
        return max((image.peak_memory_mb for image in self.images if image.peak_memory_mb is not None), default=None)


def evaluate(
    restore: Restore,
    samples: Iterable[Sample],
    metrics: Sequence[str] | Meter,
    protocol: Protocol,
    *,
    round_output: bool = True,
    timed: bool = True,
) -> Evaluation:
    """Restore every sample and score it.

    Args:
        restore: see ``Restore``.
        samples: drawn one by one, so a generator keeps one image in memory.
        metrics: names of ``diffir.metrics.table.METRICS``, or a meter that has their weights loaded.
        protocol: colour, border and rounding of luma.
        round_output: clip and round what was restored to 8 bit, as a file would be; off only for the untouched input.
        timed: with the seconds of each image; off where nothing is restored.

    Raises:
        UsageError: an unknown metric, one that needs what the samples have not, or no sample at all.
        ImageError: a restored image of the wrong size; the message names the sample.
    """
    meter = metrics if isinstance(metrics, Meter) else Meter.prepare(metrics)
    of_set = meter.new_set()
    images = tuple(score(restore, sample, meter, protocol, of_set, round_output=round_output) for sample in samples)
    if not images:
        raise UsageError("there is no image to evaluate")
    images = images if timed else tuple(replace(image, seconds=None) for image in images)
    return Evaluation(images, protocol, round_output, of_set.scores(), meter.skipped, meter.sha256)


def score(
    restore: Restore,
    sample: Sample,
    meter: Meter,
    protocol: Protocol,
    of_set: SetScores,
    *,
    round_output: bool = True,
    memory: PeakMemory | None = None,
) -> ImageScores:
    """Restore one sample and score it; ``of_set`` is shown it, ``memory`` watches."""
    if memory is not None:
        memory.give_back()
        memory.reset()
    start = time.perf_counter()
    restored = restore(sample)
    seconds = time.perf_counter() - start
    peak = memory.megabytes() if memory is not None else None
    restored, gt = as_scored(restored, round_output=round_output), sample.gt
    gt = None if gt is None else _on_8bit_scale(gt)
    try:
        scores = meter.measure(restored, gt, protocol, data_range=255, mask=_missing(sample))
        of_set.add(restored, gt, protocol, data_range=255)
    except ImageError as error:
        raise ImageError(f"{sample.name}: {error}") from error
    height, width = restored.shape[:2]
    return ImageScores(sample.name, scores, seconds, width, height, peak, torch.get_num_threads())


def _mean(values: Sequence[float]) -> float:
    return statistics.fmean(values) if values else math.nan


def as_scored(restored: np.ndarray, *, round_output: bool) -> np.ndarray:
    """A result on the 8-bit scale, float64, as it is scored: clipped and rounded where a file would be."""
    restored = _on_8bit_scale(restored)
    return np.clip(np.rint(restored), 0, 255) if round_output else restored


def _missing(sample: Sample) -> np.ndarray | None:
    return None if sample.mask is None else sample.mask > 0


def _on_8bit_scale(image: np.ndarray) -> np.ndarray:
    """float64 with white at 255, from uint8, uint16 or float with white at 1."""
    return image.astype(np.float64) * (255 / white(image.dtype))
