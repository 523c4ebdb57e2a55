"""Restore samples, score each restored image and summarise the scores: the code behind every number that diffir prints.

In: a function that restores a sample, samples, metrics and a protocol. Out: an ``Evaluation`` with the scores of every
image, their means with 95 % intervals (percentile bootstrap over images) and the protocol. Works on arrays only: it
opens no file, chooses no device and knows no network.
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
from diffir.metrics.bootstrap import interval_of_mean
from diffir.metrics.protocol import Protocol
from diffir.metrics.table import LoadedMetrics, SetScores
from diffir.pixels import white

FEWEST_FOR_AN_INTERVAL = 5  # images; of fewer, a bootstrap gives hardly more than the lowest and the highest score
Restore = Callable[[Sample], np.ndarray]
"""Sample -> restored image of the size of its ground truth: uint8, uint16 or float with white at 1."""


@dataclass(frozen=True)
class ImageScores:
    """The scores and the cost of one restored image."""

    name: str
    scores: Mapping[str, float]
    """Metric -> score; NaN if the metric cannot score the image, such as one that is too small."""
    seconds: float | None = None
    """Wall time of restoring alone; None if nothing was restored."""
    width: int = 0
    """Width of the restored image in pixels."""
    height: int = 0
    """Height of the restored image in pixels."""
    peak_memory_mb: float | None = None
    """Largest memory use while it was restored, in 10^6 bytes (``peak_memory``); None if it was not measured."""
    threads: int | None = None
    """Number of threads torch used when it was timed; cached seconds are only valid for the same number."""


@dataclass(frozen=True)
class MeanScore:
    """The mean of one metric over the images, with its 95 % interval."""

    value: float
    low: float | None = None
    """Lower end of the interval; None if there are too few images, or if the score is one of the whole set."""
    high: float | None = None
    """Upper end of the interval; None in the same cases."""


@dataclass(frozen=True)
class Evaluation:
    """The scores of one method on one set of images."""

    images: tuple[ImageScores, ...]
    protocol: Protocol
    round_output: bool
    """True if results were clipped and rounded to 8 bit before they were scored."""
    scores: Mapping[str, MeanScore]
    """Metric -> mean over the images that have a number, then metrics of the whole set, such as FID."""
    skipped: Mapping[str, str] = field(default_factory=dict)
    """Metric that could not be computed -> the reason."""
    unscored: Mapping[str, Sequence[str]] = field(default_factory=dict)
    """Metric -> names of the images that it could not score and that its mean leaves out."""
    metric_files: Mapping[str, str] = field(default_factory=dict)
    """Name of a weight file of a metric -> its SHA-256."""
    seconds: float | None = None
    """Mean wall time of an image; None if nothing was timed."""
    peak_memory_mb: float | None = None
    """Largest memory use over all images; None if it was not measured."""

    @property
    def means(self) -> dict[str, float]:
        """Metric -> its mean, without the interval."""
        return {name: score.value for name, score in self.scores.items()}


def summarise(
    images: Sequence[ImageScores],
    protocol: Protocol,
    *,
    round_output: bool,
    of_set: Mapping[str, float] | None = None,
    skipped: Mapping[str, str] | None = None,
    metric_files: Mapping[str, str] | None = None,
) -> Evaluation:
    """Compute means, intervals, mean seconds and peak memory of scored images.

    Args:
        images: at least one; all scored by the same metrics.
        of_set: scores that metrics of whole sets, such as FID, gave all images at once.
        skipped: metrics that could not be computed, and why.
        metric_files: SHA-256 of the weight files of metrics, by their name.
    """
    # Means leave out the images that a metric could not score; their names are kept.
    by_metric = {name: [image.scores[name] for image in images] for name in images[0].scores}
    scores = {name: _mean([v for v in values if not math.isnan(v)]) for name, values in by_metric.items()}
    missing = {name: [i.name for i in images if math.isnan(i.scores[name])] for name in by_metric}

    # The cost of an image: a mean over seconds, a maximum over memory.
    times = [image.seconds for image in images if image.seconds is not None]
    peaks = [image.peak_memory_mb for image in images if image.peak_memory_mb is not None]
    return Evaluation(
        images=tuple(images),
        protocol=protocol,
        round_output=round_output,
        scores=scores | {name: MeanScore(score) for name, score in (of_set or {}).items()},
        skipped=dict(skipped or {}),
        unscored={metric: names for metric, names in missing.items() if names},
        metric_files=dict(metric_files or {}),
        seconds=statistics.fmean(times) if times else None,
        peak_memory_mb=max(peaks, default=None),
    )


def evaluate(
    restore: Restore,
    samples: Iterable[Sample],
    metrics: Sequence[str] | LoadedMetrics,
    protocol: Protocol,
    *,
    round_output: bool = True,
    timed: bool = True,
) -> Evaluation:
    """Restore every sample and score it.

    Args:
        restore: see ``Restore``.
        samples: they are read one by one, so a generator keeps only one image in memory.
        metrics: names of ``diffir.metrics.table.METRICS``, or a meter whose weights are loaded already.
        protocol: colour space, border and rounding of luma.
        round_output: clip and round each result to 8 bit, as a saved file would be; False for the untouched input.
        timed: whether to keep the seconds of each image; False where nothing is restored.

    Raises:
        UsageError: an unknown metric, one that needs what the samples do not have, or no sample at all.
        ImageError: a restored image of the wrong size; the message names the sample.
    """
    meter = metrics if isinstance(metrics, LoadedMetrics) else LoadedMetrics.prepare(metrics)
    of_set = meter.new_set()
    images = tuple(score(restore, sample, meter, protocol, of_set, round_output=round_output) for sample in samples)
    if not images:
        raise UsageError("there is no image to evaluate")
    return summarise(
        images if timed else [replace(image, seconds=None) for image in images],
        protocol,
        round_output=round_output,
        of_set=of_set.scores(),
        skipped=meter.skipped,
        metric_files=meter.sha256,
    )


def score(
    restore: Restore,
    sample: Sample,
    meter: LoadedMetrics,
    protocol: Protocol,
    of_set: SetScores,
    *,
    round_output: bool = True,
    memory: PeakMemory | None = None,
) -> ImageScores:
    """Restore one sample and score it.

    Args:
        of_set: metrics of the whole set; the restored image is added to it.
        memory: measures the peak memory of restoring; None skips this.
    """
    # Restore, and measure its time and memory alone.
    if memory is not None:
        memory.give_back()
        memory.reset()
    start = time.perf_counter()
    restored = restore(sample)
    seconds = time.perf_counter() - start
    peak = memory.megabytes() if memory is not None else None

    # Bring result and ground truth to the 8-bit scale and compare them.
    restored, gt = as_scored(restored, round_output=round_output), sample.gt
    gt = None if gt is None else _on_8bit_scale(gt)
    try:
        scores = meter.measure(restored, gt, protocol, data_range=255, mask=_missing(sample))
        of_set.add(restored, gt, protocol, data_range=255)
    except ImageError as error:
        raise ImageError(f"{sample.name}: {error}") from error
    height, width = restored.shape[:2]
    return ImageScores(sample.name, scores, seconds, width, height, peak, torch.get_num_threads())


def as_scored(restored: np.ndarray, *, round_output: bool) -> np.ndarray:
    """Bring a result to the 8-bit scale as float64; with ``round_output`` clip and round it as a saved file would be.

    Args:
        restored: uint8, uint16 or float with white at 1.
    """
    restored = _on_8bit_scale(restored)
    return np.clip(np.rint(restored), 0, 255) if round_output else restored


def _mean(values: Sequence[float]) -> MeanScore:
    mean = statistics.fmean(values) if values else math.nan
    low, high = interval_of_mean(values) if len(values) >= FEWEST_FOR_AN_INTERVAL else (math.nan, math.nan)
    return MeanScore(mean, *(None if math.isnan(end) else end for end in (low, high)))


def _missing(sample: Sample) -> np.ndarray | None:
    return None if sample.mask is None else sample.mask > 0


def _on_8bit_scale(image: np.ndarray) -> np.ndarray:
    """Convert uint8, uint16 or float with white at 1 to float64 with white at 255."""
    return image.astype(np.float64) * (255 / white(image.dtype))
