"""Published numbers of other methods, to be shown beside what is measured here and never ranked with it.

In: ``datasets/published.yml``: groups of one source and one protocol each, method -> dataset -> metric -> value, or one
value for each condition of the group. Out: frozen rows. Every number is checked against the table of metrics.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import cache
from pathlib import Path
from typing import Any

from diffir.errors import ConfigError
from diffir.metrics.table import METRICS
from diffir.near_names import meant
from diffir.typed_mapping import build
from diffir.yaml_file import read_yaml

PUBLISHED = Path(__file__).resolve().parents[3] / "datasets" / "published.yml"  # a checkout; it is not installed
TEST_SPLITS = ("test", "val", "valid")  # those that papers report; other splits have no published rows


@dataclass(frozen=True)
class PublishedRow:
    """What one method got on one set, as its source prints it."""

    task: str
    """What the group is about, such as deraining."""
    method: str
    dataset: str
    """As its card is named, in any case."""
    condition: str
    """As ``diffir eval`` labels it, such as sigma 25."""
    scores: Mapping[str, float]
    """By name of metric."""
    source: str
    """With its address."""
    protocol: str
    """One sentence: colours, border, anything else that moves the numbers."""

    def to_dict(self) -> dict[str, Any]:
        """Plain types, as reports take them."""
        return asdict(self)


@dataclass(frozen=True)
class _Group:
    task: str
    source: str
    protocol: str
    conditions: tuple[str, ...]
    rows: dict[str, Any]


def load_published(path: Path | None = None) -> tuple[PublishedRow, ...]:
    """All rows of a file, in its order.

    Args:
        path: None: the file of this checkout; no rows where diffir is installed without one.

    Raises:
        ConfigError: not such a file; the message names file and row.
    """
    if path is None:
        return _rows_of_checkout()
    try:
        groups = read_yaml(path)
    except OSError as error:
        raise ConfigError(f"cannot read published rows {path}: {error.strerror}") from error
    if not isinstance(groups, list):
        raise ConfigError(f"{path}: expected a list of groups, got {type(groups).__name__}")
    rows: dict[tuple[str, ...], PublishedRow] = {}
    for number, values in enumerate(groups, 1):
        for row in _rows_of(build(_Group, values, f"{path}: group {number}"), path):
            key = row.method, row.dataset.casefold(), row.condition
            if key in rows:
                raise ConfigError(f"{path}: {row.method} on {row.dataset}, {row.condition}, is there twice; rename one")
            rows[key] = row
    return tuple(rows.values())


def rows_for(dataset: str, condition: str, rows: Sequence[PublishedRow] | None = None) -> tuple[PublishedRow, ...]:
    """The rows to lay beside a result.

    Args:
        dataset: in any case; ``gopro:test`` is GoPro, ``gopro:train`` is not.
        rows: None: those of this checkout.
    """
    name, _, split = dataset.casefold().partition(":")
    if split and split not in TEST_SPLITS:
        return ()
    rows = load_published() if rows is None else rows
    return tuple(row for row in rows if (row.dataset.casefold(), row.condition) == (name, condition))


@cache
def _rows_of_checkout() -> tuple[PublishedRow, ...]:
    return load_published(PUBLISHED) if PUBLISHED.is_file() else ()


def _rows_of(group: _Group, path: Path) -> Iterator[PublishedRow]:
    for method, by_dataset in group.rows.items():
        for dataset, by_metric in _mapping(by_dataset, f"{path}: {method}").items():
            where = f"{path}: {method} on {dataset}"
            columns = {
                metric: _values(metric, value, group.conditions, where)
                for metric, value in _mapping(by_metric, where).items()
            }
            for number, condition in enumerate(group.conditions):
                scores = {metric: values[number] for metric, values in columns.items()}
                known = {metric: score for metric, score in scores.items() if score is not None}
                if known:
                    yield PublishedRow(
                        group.task, str(method), str(dataset), condition, known, group.source, group.protocol
                    )


def _mapping(value: Any, where: str) -> dict[Any, Any]:
    if not isinstance(value, dict):
        raise ConfigError(f"{where}: expected names and their values, got {value!r}")
    return value


def _values(metric: str, value: Any, conditions: tuple[str, ...], where: str) -> list[float | None]:
    """One number of a metric for each condition, None where nothing was published."""
    if metric not in METRICS:
        raise ConfigError(f"{where}: unknown metric {metric!r}; {meant(str(metric), METRICS)}")
    values = value if isinstance(value, list) else [value]
    if len(values) != len(conditions):
        raise ConfigError(
            f"{where}: {metric} has {len(values)} values for {len(conditions)} conditions ({', '.join(conditions)})"
        )
    lowest, highest = METRICS[metric].range
    for number in values:
        is_number = isinstance(number, int | float) and not isinstance(number, bool)
        if number is not None and not (is_number and lowest <= number <= highest):
            raise ConfigError(f"{where}: {metric} is a number from {lowest:g} to {highest:g}, got {number!r}")
    return values
