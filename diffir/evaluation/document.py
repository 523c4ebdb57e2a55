"""Results as a document: what ``diffir eval --json`` writes, and what reports, cards and benchmark pages read.

One result is one contestant on one set under one condition. Plain types, strict JSON: a number that is not finite is a
string. A mean stands with the 95 % interval that a bootstrap over the images gives it.
"""

import math
import os
import platform
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from importlib.metadata import version
from typing import Any

from diffir import __version__
from diffir.evaluation.benchmark import Benchmark
from diffir.evaluation.contestant import Contestant
from diffir.evaluation.scoring import Evaluation, ImageScores
from diffir.metrics.bootstrap import interval_of_mean
from diffir.metrics.protocol import Protocol
from diffir.metrics.table import get_metrics

FORMAT = "diffir evaluation 1"
FEWEST = 5  # images behind an interval; of fewer, a bootstrap gives hardly more than the lowest and the highest
_PACKAGES = ("numpy", "torch", "opencv-python")


def document(results: Sequence[Mapping[str, Any]], device: str = "cpu") -> dict[str, Any]:
    """Results with the versions and the machine behind them."""
    import torch

    versions = {"diffir": __version__, "python": platform.python_version()}
    return {
        "format": FORMAT,
        "versions": versions | {name: version(name) for name in _PACKAGES},
        "machine": {"device": device, "cores": os.cpu_count(), "threads": torch.get_num_threads()},
        "results": list(results),
    }


def result_of(benchmark: Benchmark, contestant: Contestant, evaluation: Evaluation) -> dict[str, Any]:
    """One contestant on one benchmark."""
    return {
        "method": contestant.name,
        "kind": contestant.kind,
        "summary": contestant.summary,
        "network": dict(contestant.settings) if contestant.module is not None else None,
        "parameters": contestant.parameters,
        "multiply_adds": contestant.multiply_adds,
        "dataset": benchmark.dataset,
        "count": len(benchmark.files),
        "of": benchmark.complete,
        "data_sha256": benchmark.sha256,
        "condition": benchmark.condition.label,
        "degradation": benchmark.condition.facts(),
        **scores_of(evaluation, protocol_line(benchmark, contestant, evaluation)),
    }


def scores_of(evaluation: Evaluation, line: str) -> dict[str, Any]:
    """The part of a result that says what was measured; ``line`` holds every convention in words."""
    names = list(evaluation.means)
    by_metric = {name: evaluation.values(name) for name in names}
    return {
        "protocol": {**asdict(evaluation.protocol), "round_output": evaluation.round_output, "line": line},
        "scores": {name: _mean(evaluation.means[name], by_metric[name]) for name in names},
        "skipped": dict(evaluation.skipped),
        "unscored": evaluation.unscored,
        "metric_files": dict(evaluation.metric_files),
        "seconds": evaluation.seconds,
        "peak_memory_mb": evaluation.peak_memory_mb,
        "images": list(map(_image, evaluation.images)),
    }


def protocol_line(benchmark: Benchmark, contestant: Contestant, evaluation: Evaluation) -> str:
    """Every convention behind the scores of a contestant."""
    number = f"{len(benchmark.files)} of {benchmark.complete}"
    images = "image" if benchmark.complete == 1 else "images"
    rounded = "output clipped and rounded to 8 bit" if contestant.round_output else "scored as it is, not rounded"
    parts = [f"{benchmark.dataset}, mean over {number} {images}", str(benchmark.condition), rounded]
    return "; ".join([*parts, *conventions(benchmark.protocol, list(evaluation.means))])


def conventions(protocol: Protocol, metrics: Sequence[str]) -> list[str]:
    """The protocol and what each metric computes."""
    return [str(protocol), *(metric.definition for metric in get_metrics(metrics))]


def _mean(mean: float, values: Sequence[float]) -> dict[str, float | str | None]:
    low, high = interval_of_mean(values) if len(values) >= FEWEST else (math.nan, math.nan)
    return {"mean": plain(mean), "low": _known(low), "high": _known(high)}


def _image(image: ImageScores) -> dict[str, Any]:
    scores = {name: plain(value) for name, value in image.scores.items()}
    return {**asdict(image), "scores": scores}


def plain(value: float) -> float | str:
    """A number as strict JSON holds it."""
    return value if math.isfinite(value) else str(value)


def _known(value: float) -> float | str | None:
    return None if math.isnan(value) else plain(value)
