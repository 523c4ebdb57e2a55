"""Metrics by name, made ready once and then taken of every image: what evaluation and the command line use.

In: names, a restored image, its ground truth where there is one, a protocol; out: one number a metric. What a metric
needs and lacks (weights, a package) is a reason and no error: the others go on. The table itself is in ``rows``.
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
from diffir.metrics.rows import METRICS
from diffir.metrics.weight_files import PUBLIC_FILES
from diffir.near_names import meant
from diffir.pixels import as_rgb
from diffir.public_files import find

__all__ = ["METRICS", "Meter", "Metric", "SetScores", "get_metrics", "measure"]

_BY_ANY_NAME = {name: row for row in METRICS.values() for name in (row.name, *row.aliases)}


def get_metrics(names: Sequence[str]) -> list[Metric]:
    """The rows of these names or aliases, in this order, each once.

    Raises:
        UsageError: no name, or one that is not in the table.
    """
    if not names:
        raise UsageError(f"no metric is named; known: {', '.join(METRICS)}")
    for name in names:
        if name not in _BY_ANY_NAME:
            raise UsageError(f"unknown metric {name!r}; {meant(name, _BY_ANY_NAME)}")
    return list(dict.fromkeys(_BY_ANY_NAME[name] for name in names))


class Meter:
    """Metrics that are ready; see ``prepare``."""

    def __init__(
        self, ready: Mapping[str, Score | SetDistance], skipped: Mapping[str, str], files: Mapping[str, Path]
    ) -> None:
        self.names = list(ready)
        """Of the metrics that work, in the order they were asked for."""
        self.sha256 = {name: hashlib.sha256(path.read_bytes()).hexdigest() for name, path in files.items()}
        """Of the weight files in use, by their name."""
        self.skipped = dict(skipped)
        """Metrics that cannot be taken here, and why: one line each."""
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
    ) -> "Meter":
        """Make metrics ready.

        Args:
            names: of the table, or aliases.
            files: weight files the user named, by their name in ``weight_files.PUBLIC_FILES``.
            download: fetch weights that are nowhere.
            device: of torch, for metrics that are networks.

        Raises:
            UsageError: an unknown metric, or a file that no metric knows.
            WeightsError: a weight file is there but damaged or another one.
        """
        files = files or {}
        for name in files:
            if name not in PUBLIC_FILES:
                raise UsageError(f"no metric takes a weight file {name!r}; {meant(name, PUBLIC_FILES)}")
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
        """Scores of one image by metric name, without the metrics of sets.

        Args:
            restored: H x W x C, RGB or grey, with the same white as gt.
            gt: the same shape; None where there is none, for metrics that need none.
            protocol: colour, border and rounding; metrics that see RGB take its border alone.
            data_range: the value of white: 255 for uint8, 65535 for uint16, 1 for float in [0, 1].
            mask: H x W bool, True where a pixel was missing; for metrics of holes.

        A photo too small for a metric that needs no ground truth has no number there (nan).

        Raises:
            ImageError: the shapes differ, or an image is too small for another metric or the protocol.
            UsageError: a metric that needs a ground truth or a mask, without it.
        """
        for metric in self._of_images:
            if metric.needs_reference and gt is None:
                raise UsageError(f"{metric.name} needs a ground truth; without one: {_without_reference()}")
            if metric.needs_mask and mask is None:
                raise UsageError(f"{metric.name} needs a mask of the missing pixels; give one or leave the metric out")
        given = _Given(restored, gt, mask, protocol, data_range)
        return {metric.name: _taken(metric, score, given) for metric, score in self._of_images.items()}

    def new_set(self) -> "SetScores":
        """A set to collect images in, for the metrics of sets."""
        return SetScores(self._of_sets)


class SetScores:
    """Metrics of two whole sets, fed image by image."""

    def __init__(self, distances: Mapping[str, SetDistance]) -> None:
        self._distances = distances
        self._described: dict[str, list[tuple[np.ndarray, ...]]] = {name: [] for name in distances}

    def add(self, restored: np.ndarray, gt: np.ndarray | None, protocol: Protocol, *, data_range: float) -> None:
        """One more image; arguments of ``Meter.measure``.

        Raises:
            ImageError: the shapes differ, or nothing is left inside the border.
            UsageError: no ground truth.
        """
        for name, distance in self._distances.items():
            if gt is None:
                raise UsageError(f"{name} needs ground truths; without them: {_without_reference()}")
            pair = _Given(restored, gt, None, protocol, data_range).to(METRICS[name])
            self._described[name].append(tuple(distance.describe(image) for image in pair))

    def scores(self) -> dict[str, float]:
        """By metric name; not a number for a set of less than two images."""
        return {
            name: distance.compare(*(np.array(side) for side in zip(*self._described[name], strict=True)))
            if len(self._described[name]) > 1
            else float("nan")
            for name, distance in self._distances.items()
        }


def measure(
    restored: np.ndarray, gt: np.ndarray, metrics: Sequence[str], protocol: Protocol, *, data_range: float
) -> dict[str, float]:
    """Scores of one image by metric name, with metrics that need nothing but the package; see ``Meter.measure``.

    Raises:
        ImageError: the shapes differ, or an image is too small for the protocol.
        UsageError: an unknown metric, one whose weights are not here, or one of whole sets.
    """
    return _meter(tuple(metrics)).measure(restored, gt, protocol, data_range=data_range)


@lru_cache(maxsize=8)  # validation asks for the same few metrics all along
def _meter(names: tuple[str, ...]) -> Meter:
    for metric in get_metrics(names):
        if metric.of_set:
            raise UsageError(f"{metric.name} is a metric of whole sets and has no value for one image")
    meter = Meter.prepare(names)
    for name, reason in meter.skipped.items():
        raise UsageError(f"{name} cannot be taken: {reason}")
    return meter


class _Given:
    """One image and what goes with it, in the forms that metrics see, each made once."""

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
        """The arguments of its function."""
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
        assert self._mask is not None  # Meter.measure refuses to go on without
        border = self._protocol.crop_border
        height, width = self._mask.shape
        return self._mask[border : height - border, border : width - border]


def _taken(metric: Metric, score: Score, given: _Given) -> float:
    arguments = given.to(metric)
    try:
        return float(score(*arguments))
    except ImageError:
        if metric.needs_reference:
            raise
        return float("nan")  # one small photo among many must not end the judging of all


def _find_needs(metric: Metric, files: Mapping[str, Path], download: bool) -> tuple[dict[str, Path], list[str]]:
    """Paths of the weight files, and what is missing: one line each."""
    lacks = []
    if metric.package and find_spec(metric.package) is None:
        lacks.append(str(MissingDependency(metric.package, metric.name, metric.package)))
    elif metric.package and not download:
        lacks.append(f"{metric.package} fetches weights by itself: allow downloads to take {metric.name}")
    paths = {}
    for name in metric.files:
        path, reason = find(PUBLIC_FILES[name], files.get(name), download=download)
        if path is None:
            lacks.append(f"{name} is not here: {reason}")
        else:
            paths[name] = path
    return paths, lacks


def _without_reference() -> str:
    return ", ".join(row.name for row in METRICS.values() if not row.needs_reference)
