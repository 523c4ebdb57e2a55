"""The document of ``diffir eval --json`` as typed values, in the order in which a reader meets them.

In: the mapping that the file holds. Out: sections, one for each set and condition, each with its tables. Only results
that saw the same images under the same protocol share a table: nothing else may be ranked. A number that is not
finite is a string in the file and a float here.
"""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

from diffir.errors import UsageError
from diffir.evaluation.document import FORMAT
from diffir.metrics.protocol import Protocol

T = TypeVar("T")


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

    @property
    def sees_ground_truth(self) -> bool:
        """Whether it is a bound and no rival: stage 1's prior is made of the clean image."""
        return self.network.get("prior") == "oracle"


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
        Section(*place, tuple(_grouped(members, _comparable)))
        for place, members in ((_place(group[0]), group) for group in _grouped(results, _place))
    ]


def primary_of(table: Sequence[Result]) -> Result:
    """The method the table is about: the first network, else somebody else's, else a folder, else the first row."""
    kinds = ("network", "foreign", "folder")
    rivals = [r for r in table if not r.sees_ground_truth] or table
    return min(rivals, key=lambda r: kinds.index(r.kind) if r.kind in kinds else len(kinds))


def _place(result: Result) -> tuple[str, str]:
    return result.dataset, result.condition


def _comparable(result: Result) -> tuple[object, ...]:
    """What two results must share to stand in one table; rounding is not of it, since the untouched input has none."""
    return result.compared, result.degradation.get("description"), tuple(image.name for image in result.images)


def _grouped(items: Sequence[T], key: Callable[[T], object]) -> list[tuple[T, ...]]:
    """Items of one key together, in the order of their first."""
    groups: dict[object, list[T]] = {}
    for item in items:
        groups.setdefault(key(item), []).append(item)
    return [tuple(group) for group in groups.values()]


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
    return Mean(float(plain["mean"]), _number(plain["low"]), _number(plain["high"]))


def _number(value: float | str | None) -> float | None:
    """A finite number, or None."""
    number = math.nan if value is None else float(value)
    return number if math.isfinite(number) else None
