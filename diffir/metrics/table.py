"""Metrics by name: they are loaded once, then computed for each image. Evaluation and the command line use this.

In: names of metrics, a restored image, its ground truth if there is one, and a protocol. Out: one score per metric. A
metric whose weights or package are missing is skipped with a reason, and the others are computed all the same. The list
of metrics is in ``rows``.
"""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import cached_property, lru_cache
from importlib.util import find_spec
from pathlib import Path

import numpy as np

from diffir.errors import ImageError, MissingDependency, UsageError
from diffir.metrics.metric import Metric, Score, SetDistance
from diffir.metrics.protocol import Protocol
from diffir.metrics.rows import ALIASES, METRICS
from diffir.metrics.weight_files import PUBLIC_FILES
from diffir.near_names import meant
from diffir.pixels import as_rgb
from diffir.public_files import find

__all__ = ["METRICS", "LoadedMetrics", "Metric", "SetScores", "get_metrics", "measure"]


def get_metrics(names: Sequence[str]) -> list[Metric]:
    """Return the metrics with these names or aliases, in this order and without repetitions.

    Raises:
        UsageError: there is no name, or one is unknown.
    """
    if not names:
        raise UsageError(f"no metric is named; known: {', '.join(METRICS)}")
    full = [ALIASES.get(name, name) for name in names]
    for name in full:
        if name not in METRICS:
            raise UsageError(f"unknown metric {name!r}; {meant(name, [*METRICS, *ALIASES])}")
    return list(dict.fromkeys(METRICS[name] for name in full))


class LoadedMetrics:
    """The metrics that could be loaded, ready to be computed; ``prepare`` creates this object."""

    def __init__(
        self, ready: Mapping[str, Score | SetDistance], skipped: Mapping[str, str], files: Mapping[str, Path]
    ) -> None:
        self.names = list(ready)
        """Names of the loaded metrics, in the order of the user."""
        self.sha256 = {name: hashlib.sha256(path.read_bytes()).hexdigest() for name, path in files.items()}
        """Checksums of the weight files in use, by the name of the file in ``PUBLIC_FILES``."""
        self.skipped = dict(skipped)
        """Reason of one line for each metric that cannot be computed, by its name."""
        self._of_images = {METRICS[n]: score for n, score in ready.items() if not isinstance(score, SetDistance)}
        self._of_sets = {n: distance for n, distance in ready.items() if isinstance(distance, SetDistance)}

    @classmethod
    def prepare(
        cls,
        names: Sequence[str],
        *,
        files: Mapping[str, Path] | None = None,
        download: bool = False,
        device: str = "cpu",
    ) -> "LoadedMetrics":
        """Load metrics.

        Args:
            names: names of metrics, or aliases.
            files: paths of weight files given by the user, by their name in ``weight_files.PUBLIC_FILES``.
            download: download weight files that are not found.
            device: torch device for metrics that are networks.

        Raises:
            UsageError: a metric is unknown, or no metric uses a file of that name.
            WeightsError: a weight file exists, but is damaged or holds other weights.
        """
        # Check the names of the weight files.
        files = files or {}
        for name in files:
            if name not in PUBLIC_FILES:
                raise UsageError(f"no metric takes a weight file {name!r}; {meant(name, PUBLIC_FILES)}")
        # Load each metric, or note why it cannot be.
        ready: dict[str, Score | SetDistance] = {}
        skipped: dict[str, str] = {}
        used: dict[str, Path] = {}
        for metric in get_metrics(names):
            paths, lacks = _find_needs(metric, files, download)
            if lacks:
                skipped[metric.name] = "; ".join(lacks)
            else:
                ready[metric.name] = metric.load(paths, device)
                used |= paths
        return cls(ready, skipped, used)

    def measure(
        self,
        restored: np.ndarray,
        gt: np.ndarray | None,
        protocol: Protocol,
        *,
        data_range: float,
        mask: np.ndarray | None = None,
    ) -> dict[str, float]:
        """Return the scores of one image by metric name, without the metrics of whole sets.

        The score is NaN if the image is too small for a metric that needs no ground truth.

        Args:
            restored: H x W x C, RGB or grey, with the same white as gt.
            gt: the ground truth of the same shape; None if no metric needs it.
            protocol: colour, border and rounding; for metrics of RGB images only its border counts.
            data_range: the value of white: 255 for uint8, 65535 for uint16, 1 for float in [0, 1].
            mask: H x W bool, True where a pixel was missing; for metrics of missing regions.

        Raises:
            ImageError: the shapes differ, or the image is too small for another metric or the protocol.
            UsageError: a metric needs a ground truth or a mask that is not given.
        """
        for metric in self._of_images:
            if metric.needs_reference and gt is None:
                raise UsageError(f"{metric.name} needs a ground truth; without one: {_without_reference()}")
            if metric.needs_mask and mask is None:
                raise UsageError(f"{metric.name} needs a mask of the missing pixels; give one or leave the metric out")
        given = _Given(restored, gt, mask, protocol, data_range)
        return {metric.name: _score(metric, score, given) for metric, score in self._of_images.items()}

    def new_set(self) -> "SetScores":
        """Return an empty collection of images for the metrics of whole sets."""
        return SetScores(self._of_sets)


class SetScores:
    """Metrics of two whole sets, to which images are added one by one."""

    def __init__(self, distances: Mapping[str, SetDistance]) -> None:
        self._distances = distances
        self._described: dict[str, list[tuple[np.ndarray, ...]]] = {name: [] for name in distances}

    def add(self, restored: np.ndarray, gt: np.ndarray | None, protocol: Protocol, *, data_range: float) -> None:
        """Add one image; the arguments are those of ``LoadedMetrics.measure``.

        Raises:
            ImageError: the shapes differ, or nothing is left inside the border.
            UsageError: the ground truth is not given.
        """
        for name, distance in self._distances.items():
            if gt is None:
                raise UsageError(f"{name} needs ground truths; without them: {_without_reference()}")
            pair = _Given(restored, gt, None, protocol, data_range).to(METRICS[name])
            self._described[name].append(tuple(distance.describe(image) for image in pair))

    def scores(self) -> dict[str, float]:
        """Return the scores of the set by metric name; they are NaN for fewer than two images."""
        return {
            name: distance.compare(*(np.array(side) for side in zip(*self._described[name], strict=True)))
            if len(self._described[name]) > 1
            else float("nan")
            for name, distance in self._distances.items()
        }


def measure(
    restored: np.ndarray, gt: np.ndarray, metrics: Sequence[str], protocol: Protocol, *, data_range: float
) -> dict[str, float]:
    """Return the scores of one image by metric name; the arguments are those of ``LoadedMetrics.measure``.

    Raises:
        ImageError: the shapes differ, or an image is too small for the protocol.
        UsageError: a metric is unknown, lacks its weights, or is one of whole sets.
    """
    return _meter(tuple(metrics)).measure(restored, gt, protocol, data_range=data_range)


@lru_cache(maxsize=8)  # validation uses the same few metrics again and again
def _meter(names: tuple[str, ...]) -> LoadedMetrics:
    for metric in get_metrics(names):
        if metric.of_set:
            raise UsageError(f"{metric.name} is a metric of whole sets and has no value for one image")
    meter = LoadedMetrics.prepare(names)
    for name, reason in meter.skipped.items():
        raise UsageError(f"{name} cannot be computed: {reason}")
    return meter


class _Given:
    """One image with its ground truth and mask, in the forms that metrics take; each form is computed once."""

    def __init__(
        self,
        restored: np.ndarray,
        gt: np.ndarray | None,
        mask: np.ndarray | None,
        protocol: Protocol,
        data_range: float,
    ) -> None:
        if gt is not None and restored.shape != gt.shape:
            raise ImageError(f"sizes differ: restored is {restored.shape}, ground truth is {gt.shape} (H, W, C)")
        if mask is not None and (mask.shape != restored.shape[:2] or mask.dtype != bool):
            raise ImageError(
                f"the mask must be bool of shape {restored.shape[:2]} (H, W), got {mask.dtype} {mask.shape}"
            )
        self._images = [restored] if gt is None else [restored, gt]
        self._mask, self._protocol, self._data_range = mask, protocol, data_range

    def to(self, metric: Metric) -> list[np.ndarray]:
        """Return the arguments of the metric's function."""
        images = self._rgb if metric.sees == "rgb" else self._compared
        images = images if metric.needs_reference else images[:1]
        return [*images, self._hole] if metric.needs_mask else images

    @cached_property
    def _compared(self) -> list[np.ndarray]:
        return [self._protocol.apply(image, data_range=self._data_range) for image in self._images]

    @cached_property
    def _rgb(self) -> list[np.ndarray]:
        protocol = replace(self._protocol, test_y_channel=False)
        return [protocol.apply(as_rgb(image), data_range=self._data_range) for image in self._images]

    @cached_property
    def _hole(self) -> np.ndarray:
        assert self._mask is not None  # LoadedMetrics.measure has checked this
        border = self._protocol.crop_border
        height, width = self._mask.shape
        return self._mask[border : height - border, border : width - border]


def _score(metric: Metric, score: Score, given: _Given) -> float:
    arguments = given.to(metric)
    try:
        return float(score(*arguments))
    except ImageError:
        if metric.needs_reference:
            raise
        return float("nan")  # one small photo among many must not stop the evaluation


def _find_needs(metric: Metric, files: Mapping[str, Path], download: bool) -> tuple[dict[str, Path], list[str]]:
    """Return the paths of the weight files by name, and one line for each thing that is missing."""
    # An optional package.
    lacks = []
    if metric.package and find_spec(metric.package) is None:
        lacks.append(str(MissingDependency(metric.package, metric.name, metric.package)))
    elif metric.package and not download:
        lacks.append(f"{metric.package} downloads weights by itself: allow downloads to compute {metric.name}")
    # Weight files.
    paths = {}
    for name in metric.files:
        path, reason = find(PUBLIC_FILES[name], files.get(name), download=download)
        if path is None:
            lacks.append(f"{name} was not found: {reason}")
        else:
            paths[name] = path
    return paths, lacks


def _without_reference() -> str:
    """List the metrics that need no ground truth, for messages."""
    return ", ".join(row.name for row in METRICS.values() if not row.needs_reference)
