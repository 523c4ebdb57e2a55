"""The typed result of an evaluation, and its JSON: the only module that writes and reads ``diffir eval --json``.

One ``Result`` is one method on one set of images under one degradation; an ``EvaluationDocument`` holds results with
the versions and the machine behind them. Reports, benchmark pages and tools use these types. JSON stays strict: a
number that is not finite is a string in the file and a float here.
"""

import json
import math
import os
import platform
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from importlib.metadata import version
from pathlib import Path
from typing import Any

from diffir._version import __version__
from diffir.errors import UsageError
from diffir.evaluation.benchmark import Benchmark
from diffir.evaluation.contestant import Contestant
from diffir.evaluation.scoring import Evaluation, ImageScores, MeanScore
from diffir.metrics.protocol import Protocol
from diffir.metrics.table import get_metrics
from diffir.typed_mapping import check_type

FORMAT = "diffir evaluation 1"
_PACKAGES = ("numpy", "torch", "opencv-python")


@dataclass(frozen=True)
class Result:
    """One method on one set of images under one degradation, with everything that its scores depend on."""

    method: str
    kind: str
    """``network``, ``baseline``, ``foreign`` (a network of another project) or ``folder`` (stored images)."""
    summary: str
    """One line that describes the method and its settings."""
    network: Mapping[str, object]
    """Weights and settings of a network, such as fingerprint, precision and prior; empty for any other method."""
    parameters: float | None
    """Number of learnt parameters; None if the method is no network."""
    multiply_adds: float | None
    """Multiply-adds of one input of 256 x 256 pixels; None if the method is no network."""
    dataset: str
    count: int
    """Number of images that were measured."""
    of: int | None
    """Number of images of the whole set; None if it is not known."""
    data_sha256: str
    """A hash of the names and files of all images."""
    degradation: str
    """Label of the degradation, such as "sigma 25"; the key of the file is ``condition``."""
    degradation_facts: Mapping[str, object]
    """Kind, settings and description of the degradation; the key of the file is ``degradation``."""
    evaluation: Evaluation
    protocol_line: str = ""
    """Every convention behind the scores in words; part of ``protocol`` in the file."""
    prior_spread: Mapping[str, float] = field(default_factory=dict)
    """How results differ over start noises (fields of ``prior_study.Spread``); empty if it was not measured."""


@dataclass(frozen=True)
class EvaluationDocument:
    """Results that were measured by the same versions on the same machine."""

    versions: Mapping[str, str]
    machine: Mapping[str, object]
    """Device, number of CPU cores, number of threads."""
    results: tuple[Result, ...]


def result_of(benchmark: Benchmark, contestant: Contestant, evaluation: Evaluation) -> Result:
    """Combine the scores of a contestant with the facts about the contestant and the benchmark."""
    return Result(
        method=contestant.name,
        kind=contestant.kind,
        summary=contestant.summary,
        network=dict(contestant.settings) if contestant.module is not None else {},
        parameters=contestant.parameters,
        multiply_adds=contestant.multiply_adds,
        dataset=benchmark.dataset,
        count=len(benchmark.files),
        of=benchmark.complete,
        data_sha256=benchmark.sha256,
        degradation=benchmark.degradation.label,
        degradation_facts=benchmark.degradation.facts(),
        evaluation=evaluation,
        protocol_line=protocol_line(benchmark, contestant, evaluation),
    )


def document_of(results: Sequence[Result], device: str = "cpu") -> EvaluationDocument:
    """Add the versions and the machine of this process to results that it has measured."""
    import torch

    versions = {"diffir": __version__, "python": platform.python_version()}
    return EvaluationDocument(
        versions=versions | {name: version(name) for name in _PACKAGES},
        machine={"device": device, "cores": os.cpu_count(), "threads": torch.get_num_threads()},
        results=tuple(results),
    )


def protocol_line(benchmark: Benchmark, contestant: Contestant, evaluation: Evaluation) -> str:
    """Describe every convention behind the scores of a contestant in one line."""
    number = f"{len(benchmark.files)} of {benchmark.complete}"
    images = "image" if benchmark.complete == 1 else "images"
    rounded = "output clipped and rounded to 8 bit" if contestant.round_output else "scored as it is, not rounded"
    parts = [f"{benchmark.dataset}, mean over {number} {images}", str(benchmark.degradation), rounded]
    return "; ".join([*parts, *conventions(benchmark.protocol, list(evaluation.scores))])


def conventions(protocol: Protocol, metrics: Sequence[str]) -> list[str]:
    """Describe the protocol and what each metric computes, one string each."""
    return [str(protocol), *(metric.definition for metric in get_metrics(metrics))]


# Typed -> JSON. The order of keys is part of the format.


def document_to_json(document: EvaluationDocument) -> dict[str, Any]:
    """Convert a document to what ``json.dumps`` takes."""
    return {
        "format": FORMAT,
        "versions": dict(document.versions),
        "machine": dict(document.machine),
        "results": list(map(result_to_json, document.results)),
    }


def result_to_json(result: Result) -> dict[str, Any]:
    """Convert a result to plain types."""
    plain: dict[str, Any] = {
        "method": result.method,
        "kind": result.kind,
        "summary": result.summary,
        "network": dict(result.network) or None,
        "parameters": result.parameters,
        "multiply_adds": result.multiply_adds,
        "dataset": result.dataset,
        "count": result.count,
        "of": result.of,
        "data_sha256": result.data_sha256,
        "condition": result.degradation,
        "degradation": dict(result.degradation_facts),
        **evaluation_to_json(result.evaluation, result.protocol_line),
    }
    if result.prior_spread:
        plain["prior_spread"] = {name: _plain(value) for name, value in result.prior_spread.items()}
    return plain


def evaluation_to_json(evaluation: Evaluation, line: str) -> dict[str, Any]:
    """Convert scores to plain types; ``line`` describes every convention behind them."""
    return {
        "protocol": {**asdict(evaluation.protocol), "round_output": evaluation.round_output, "line": line},
        "scores": {name: _mean_to_json(score) for name, score in evaluation.scores.items()},
        "skipped": dict(evaluation.skipped),
        "unscored": {metric: list(names) for metric, names in evaluation.unscored.items()},
        "metric_files": dict(evaluation.metric_files),
        "seconds": evaluation.seconds,
        "peak_memory_mb": evaluation.peak_memory_mb,
        "images": list(map(_image_to_json, evaluation.images)),
    }


def _mean_to_json(score: MeanScore) -> dict[str, float | str | None]:
    ends = {"low": score.low, "high": score.high}
    return {"mean": _plain(score.value), **{name: None if end is None else _plain(end) for name, end in ends.items()}}


def _image_to_json(image: ImageScores) -> dict[str, Any]:
    return {**asdict(image), "scores": {name: _plain(value) for name, value in image.scores.items()}}


def _plain(value: float) -> float | str:
    """A number as strict JSON can hold it: a string if it is not finite."""
    return value if math.isfinite(value) else str(value)


# JSON -> typed. Older files lack some keys, which is why several have a default.


def read_document(path: Path) -> EvaluationDocument:
    """Read a file of ``diffir eval --json`` or ``diffir score --json``.

    Raises:
        UsageError: the file cannot be read, is not JSON, or not an evaluation; the message names it.
    """
    try:
        return document_from_json(json.loads(path.read_bytes()))
    except OSError as error:
        raise UsageError(f"{path}: cannot be read ({error.strerror})") from error
    except (ValueError, RecursionError, UsageError) as error:
        raise UsageError(f"{path}: {error}") from error


def document_from_json(plain: Mapping[str, Any]) -> EvaluationDocument:
    """Convert the content of a file to a document.

    Raises:
        UsageError: it is not an evaluation, or a result lacks a field.
    """
    found = plain.get("format") if isinstance(plain, dict) else None
    if found != FORMAT:
        raise UsageError(f"not an evaluation: its format is {found!r}; {FORMAT!r} comes from diffir eval --json")
    try:
        results = tuple(map(_result, plain["results"]))
        document = EvaluationDocument(plain.get("versions", {}), plain.get("machine", {}), results)
        check_type(EvaluationDocument, document, "the document")
    except (KeyError, TypeError, ValueError, AttributeError, OverflowError, UsageError) as error:
        reason = str(error) if isinstance(error, UsageError) else repr(error)
        raise UsageError(
            f"an evaluation with a broken result ({reason}); write it anew with diffir eval --json"
        ) from error
    return document


def _result(plain: Mapping[str, Any]) -> Result:
    return Result(
        method=plain["method"],
        kind=plain["kind"],
        summary=plain["summary"],
        network=plain["network"] or {},
        parameters=_finite(plain["parameters"]),
        multiply_adds=_finite(plain["multiply_adds"]),
        dataset=plain["dataset"],
        count=plain["count"],
        of=plain["of"],
        data_sha256=plain["data_sha256"],
        degradation=plain["condition"],
        degradation_facts=plain["degradation"] or {},
        evaluation=_evaluation(plain),
        protocol_line=str(plain["protocol"].get("line", "")),
        prior_spread={name: _number(value) for name, value in plain.get("prior_spread", {}).items()},
    )


def _evaluation(plain: Mapping[str, Any]) -> Evaluation:
    protocol = plain["protocol"]
    return Evaluation(
        images=tuple(map(_image, plain["images"])),
        protocol=Protocol(*(protocol[key] for key in ("crop_border", "test_y_channel", "convention"))),
        round_output=protocol.get("round_output", True),
        scores={name: _mean(score) for name, score in plain["scores"].items()},
        skipped=plain["skipped"],
        unscored=plain.get("unscored", {}),
        metric_files=plain.get("metric_files", {}),
        seconds=_finite(plain["seconds"]),
        peak_memory_mb=_finite(plain["peak_memory_mb"]),
    )


def _image(plain: Mapping[str, Any]) -> ImageScores:
    return ImageScores(
        name=plain["name"],
        scores={name: float(score) for name, score in plain["scores"].items()},
        seconds=_finite(plain.get("seconds")),
        width=plain["width"],
        height=plain["height"],
        peak_memory_mb=_finite(plain.get("peak_memory_mb")),
        threads=plain.get("threads"),
    )


def _mean(plain: Mapping[str, Any]) -> MeanScore:
    low, high = (_number(math.nan if plain[end] is None else plain[end]) for end in ("low", "high"))
    return MeanScore(float(plain["mean"]), None if math.isnan(low) else low, None if math.isnan(high) else high)


def _number(value: float | str) -> float:
    """A number as it is; a string of a number that is not finite as a float."""
    return float(value) if isinstance(value, str) else value


def _finite(value: float | str | None) -> float | None:
    """A finite number, or None; whole numbers stay whole, so that they are written as they were read."""
    number = math.nan if value is None else _number(value)
    return number if math.isfinite(number) else None
