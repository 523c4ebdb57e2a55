"""Group results into the sections and tables in which a reader meets them.

In: typed results of an evaluation. Out: one section for each set and degradation, in the order of the file. Within a
section, only results with one ``ComparisonKey`` (the same files, degradation and protocol) share a table, since only
those can be ranked with one another. Every page follows this rule.
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

from diffir.evaluation.document import Result
from diffir.evaluation.prior_rows import NEED_TEACHER
from diffir.metrics.protocol import Protocol
from diffir.report.grouping import grouped


class ComparisonKey(NamedTuple):
    """Everything that two results must have in common to be ranked with each other.

    Rounding of the output is not part of it, since the untouched input is never rounded.
    """

    dataset: str
    degradation: str
    protocol: Protocol
    degradation_facts: str
    """Every setting as JSON, since two degradations may have the same label."""
    image_count: int
    data_sha256: str
    images: tuple[str, ...]
    """Names of the images in their order."""


@dataclass(frozen=True)
class Section:
    """All results on one set under one degradation."""

    dataset: str
    degradation: str
    tables: tuple[tuple[Result, ...], ...]
    """Each table holds results that can be ranked with one another."""


def sections_of(results: Sequence[Result]) -> list[Section]:
    """Group results by set and degradation, in the order of their first appearance."""
    return [
        Section(dataset, degradation, tuple(map(tuple, grouped(members, comparison_key).values())))
        for (dataset, degradation), members in grouped(results, lambda r: (r.dataset, r.degradation)).items()
    ]


def comparison_key(result: Result) -> ComparisonKey:
    """Collect what another result must share with this one to be ranked with it."""
    return ComparisonKey(
        result.dataset,
        result.degradation,
        result.evaluation.protocol,
        json.dumps(result.degradation_facts, sort_keys=True),
        result.count,
        result.data_sha256,
        tuple(image.name for image in result.evaluation.images),
    )


def primary_of(table: Sequence[Result]) -> Result:
    """Choose the method that the table is about.

    This is the first DiffIR network, else the first network of another project, folder of images or baseline, and the
    untouched input only if there is nothing else. A network whose prior saw the ground truth comes last.
    """
    kinds = ("network", "foreign", "folder", "baseline")
    rivals = [r for r in table if not sees_ground_truth(r)] or table
    return min(rivals, key=lambda r: kinds.index(r.kind) if r.kind in kinds and r.method != "input" else len(kinds))


def sees_ground_truth(result: Result) -> bool:
    """True if the prior was made from the ground truth: such a result is an upper bound and is not ranked."""
    return result.network.get("prior") in NEED_TEACHER


def left_out_images(result: Result) -> list[str]:
    """Write one sentence for each metric whose mean leaves out images that are too small for it."""
    return [
        f"{metric} leaves out {len(names)} of {result.count} images, too small for it: {', '.join(names)}"
        for metric, names in result.evaluation.unscored.items()
    ]
