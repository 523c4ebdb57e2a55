"""The document of ``diffir eval --json`` as typed values, in the order in which a reader meets them.

In: the mapping that the file holds. Out: sections, one for each set and condition, each with its tables. Decided here,
for every page: only results of one ``Place`` (the same files, damage and protocol) are ranked. A number that is not
finite is a string in the file and a float here.
"""

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from diffir.errors import UsageError
from diffir.evaluation.document import FORMAT
from diffir.metrics.protocol import Protocol
from diffir.report.grouping import grouped
from diffir.systems.diffir.prior_study import NEED_TEACHER


@dataclass(frozen=True)
class Mean:
    """A score over all images, with the 95 % interval of the mean where it is known."""

    value: float
    low: float | None
    high: float | None


@dataclass(frozen=True)
class ImageRow:
    """What one image got."""

    name: str
    width: int
    height: int
    scores: Mapping[str, float]
    seconds: float | None
    peak_memory_mb: float | None


@dataclass(frozen=True)
class Result:
    """One method on one set under one condition; the fields are those of the file."""

    method: str
    kind: str
    summary: str
    network: Mapping[str, object]
    """Empty unless the method is a network."""
    parameters: float | None
    multiply_adds: float | None
    dataset: str
    count: int
    of: int | None
    data_sha256: str
    condition: str
    degradation: Mapping[str, object]
    protocol: Mapping[str, object]
    compared: Protocol
    """The part of the protocol that says which pixels are compared."""
    scores: Mapping[str, Mean]
    skipped: Mapping[str, str]
    seconds: float | None
    peak_memory_mb: float | None
    images: tuple[ImageRow, ...]
    unscored: Mapping[str, Sequence[str]] = field(default_factory=dict)
    """Metric -> images that were too small for it."""
    prior_spread: Mapping[str, float | str] = field(default_factory=dict)
    """How results differ over start noises (``Spread`` of the prior study); empty if it was not measured."""

    @property
    def not_judged(self) -> list[str]:
        """A sentence for each metric that left images out of its mean."""
        return [
            f"{metric} leaves out {len(names)} of {self.count} images, too small for it: {', '.join(names)}"
            for metric, names in self.unscored.items()
        ]

    @property
    def sees_ground_truth(self) -> bool:
        """Whether it is a bound and no rival: its prior is made of the clean image."""
        return self.network.get("prior") in NEED_TEACHER


class Place(NamedTuple):
    """What results must share to be ranked with one another.

    Rounding is not of it, since the untouched input has none.
    """

    dataset: str
    condition: str
    compared: Protocol
    degradation: str
    """Every setting, as JSON: two kinds of damage may be told in the same words."""
    number: int
    """Of images."""
    data_sha256: str
    images: tuple[str, ...]


@dataclass(frozen=True)
class Section:
    """A set under a condition."""

    dataset: str
    condition: str
    tables: tuple[tuple[Result, ...], ...]
    """Results that can be compared with one another stand in one table."""


def read_sections(document: Mapping[str, Any]) -> list[Section]:
    """Sections in the order of the file.

    Raises:
        UsageError: it is no such document.
    """
    if document.get("format") != FORMAT:
        raise UsageError(
            f"not an evaluation: its format is {document.get('format')!r}; {FORMAT!r} comes from diffir eval --json"
        )
    try:
        results = [_result(plain) for plain in document["results"]]
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise UsageError(
            f"an evaluation with a broken result ({error!r}); write it anew with diffir eval --json"
        ) from error
    return [
        Section(dataset, condition, tuple(map(tuple, grouped(members, place_of).values())))
        for (dataset, condition), members in grouped(results, lambda r: (r.dataset, r.condition)).items()
    ]


def place_of(result: Result) -> Place:
    """Where it stands: with these results it may be compared."""
    return Place(
        result.dataset,
        result.condition,
        result.compared,
        json.dumps(result.degradation, sort_keys=True),
        result.count,
        result.data_sha256,
        tuple(image.name for image in result.images),
    )


def primary_of(table: Sequence[Result]) -> Result:
    """The method the table is about: the first network, else somebody else's, a folder, a baseline, or the input."""
    kinds = ("network", "foreign", "folder", "baseline")
    rivals = [r for r in table if not r.sees_ground_truth] or table
    return min(rivals, key=lambda r: kinds.index(r.kind) if r.kind in kinds and r.method != "input" else len(kinds))


def _result(plain: Mapping[str, Any]) -> Result:
    return Result(
        method=plain["method"],
        kind=plain["kind"],
        summary=plain["summary"],
        network=plain["network"] or {},
        parameters=_number(plain["parameters"]),
        multiply_adds=_number(plain["multiply_adds"]),
        dataset=plain["dataset"],
        count=plain["count"],
        of=plain["of"],
        data_sha256=plain["data_sha256"],
        condition=plain["condition"],
        degradation=plain["degradation"] or {},
        protocol=plain["protocol"],
        compared=Protocol(*(plain["protocol"][key] for key in ("crop_border", "test_y_channel", "convention"))),
        scores={name: _mean(score) for name, score in plain["scores"].items()},
        skipped=plain["skipped"],
        seconds=_number(plain["seconds"]),
        peak_memory_mb=_number(plain["peak_memory_mb"]),
        images=tuple(_image(image) for image in plain["images"]),
        prior_spread=plain.get("prior_spread", {}),
        unscored=plain.get("unscored", {}),
    )


def _image(plain: Mapping[str, Any]) -> ImageRow:
    return ImageRow(
        name=plain["name"],
        width=plain["width"],
        height=plain["height"],
        scores={name: float(score) for name, score in plain["scores"].items()},
        seconds=_number(plain.get("seconds")),
        peak_memory_mb=_number(plain.get("peak_memory_mb")),
    )


def _mean(plain: Mapping[str, Any]) -> Mean:
    ends = [math.nan if plain[end] is None else float(plain[end]) for end in ("low", "high")]
    return Mean(float(plain["mean"]), *(None if math.isnan(end) else end for end in ends))


def _number(value: float | str | None) -> float | None:
    """A finite number, or None."""
    number = math.nan if value is None else float(value)
    return number if math.isfinite(number) else None
