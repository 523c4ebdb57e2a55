"""Published scores of other methods, which are shown beside measured scores and never ranked with them.

In: ``datasets/published.yml``: groups of one source and one protocol each, method -> dataset -> metric -> value, or one
value per degradation of the group (its key ``conditions``). Out: frozen rows. Every number is checked against the
range of its metric.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from diffir.errors import ConfigError
from diffir.metrics.table import METRICS
from diffir.near_names import meant
from diffir.shipped_files import shipped_folder
from diffir.typed_mapping import build
from diffir.yaml_file import read_yaml

PUBLISHED = shipped_folder("datasets") / "published.yml"
TEST_SPLITS = ("test", "val", "valid")  # splits that papers report; other splits have no published rows


@dataclass(frozen=True)
class PublishedRow:
    """Scores of one method on one set, as its source prints them."""

    task: str
    """Task of the group, such as deraining."""
    method: str
    dataset: str
    """Name of the dataset card, in upper or lower case."""
    degradation: str
    """Label of the degradation as ``diffir eval`` writes it, such as sigma 25."""
    scores: Mapping[str, float]
    """Mapping from the name of a metric to the score."""
    source: str
    """Publication of the scores with its address."""
    protocol: str
    """One sentence on how the scores were measured: colours, border and so on."""


@dataclass(frozen=True)
class _Group:
    task: str
    source: str
    protocol: str
    conditions: tuple[str, ...]
    rows: dict[str, Any]


def load_published(path: Path | None = None) -> tuple[PublishedRow, ...]:
    """Read all rows of a file in their order.

    Args:
        path: None: the file that ships.

    Raises:
        ConfigError: the file cannot be read or is invalid; the message names file and row.
    """
    if path is None:
        return _shipped_rows()
    # Read the groups.
    try:
        groups = read_yaml(path)
    except OSError as error:
        raise ConfigError(f"cannot read published rows {path}: {error.strerror}") from error
    if not isinstance(groups, list):
        raise ConfigError(f"{path}: expected a list of groups, got {type(groups).__name__}")

    # Turn every group into rows, of which no two may describe the same result.
    rows: dict[tuple[str, ...], PublishedRow] = {}
    for number, values in enumerate(groups, 1):
        for row in _rows_of(build(_Group, values, f"{path}: group {number}"), path):
            key = row.method, row.dataset.casefold(), row.degradation
            if key in rows:
                raise ConfigError(
                    f"{path}: {row.method} on {row.dataset}, {row.degradation}, is given twice; rename one"
                )
            rows[key] = row
    return tuple(rows.values())


def rows_for(dataset: str, degradation: str, rows: Sequence[PublishedRow] | None = None) -> tuple[PublishedRow, ...]:
    """The published rows to show beside a result.

    Args:
        dataset: name in upper or lower case; ``gopro:test`` finds rows of GoPro, ``gopro:train`` does not.
        degradation: label of the degradation.
        rows: rows to search; None: the rows that ship.
    """
    name, _, split = dataset.casefold().partition(":")
    if split and split not in TEST_SPLITS:
        return ()
    rows = load_published() if rows is None else rows
    return tuple(row for row in rows if (row.dataset.casefold(), row.degradation) == (name, degradation))


@cache
def _shipped_rows() -> tuple[PublishedRow, ...]:
    return load_published(PUBLISHED)


def _rows_of(group: _Group, path: Path) -> Iterator[PublishedRow]:
    for method, by_dataset in group.rows.items():
        for dataset, by_metric in _mapping(by_dataset, f"{path}: {method}").items():
            where = f"{path}: {method} on {dataset}"
            columns = {
                metric: _values(metric, value, group.conditions, where)
                for metric, value in _mapping(by_metric, where).items()
            }
            for number, degradation in enumerate(group.conditions):
                scores = {metric: values[number] for metric, values in columns.items()}
                known = {metric: score for metric, score in scores.items() if score is not None}
                if known:
                    yield PublishedRow(
                        group.task, str(method), str(dataset), degradation, known, group.source, group.protocol
                    )


def _mapping(value: Any, where: str) -> dict[Any, Any]:
    if not isinstance(value, dict):
        raise ConfigError(f"{where}: expected names and their values, got {value!r}")
    return value


def _values(metric: str, value: Any, conditions: tuple[str, ...], where: str) -> list[float | None]:
    """One number of a metric for each degradation; None if nothing was published."""
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
