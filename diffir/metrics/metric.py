"""What a metric is: the facts that a table, a report and a protocol line need, and how it is made ready.

A row says what its function is given: ``sees`` the arrays of ``Protocol.apply`` or RGB, after the same border is cut;
then the ground truth if it needs one, then the mask if it needs one. All arrays are h x w x c on the 8-bit scale.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, NamedTuple

import numpy as np

Paths = Mapping[str, Path]
"""Weight files by their name in ``weight_files.PUBLIC_FILES``."""
Score = Callable[..., float]
"""(restored[, gt][, mask]) -> score of one image."""


class SetDistance(NamedTuple):
    """A metric of whole sets: images are described one by one, then the descriptions of both sets are compared."""

    describe: Callable[[np.ndarray], np.ndarray]
    """Image -> D numbers."""
    compare: Callable[[np.ndarray, np.ndarray], float]
    """(N, D) of the restored images and (M, D) of the ground truths -> score of the set."""


@dataclass(frozen=True, kw_only=True)
class Metric:
    """One row of the table."""

    name: str
    title: str
    """As a table's head shows it."""
    load: Callable[[Paths, str], Score | SetDistance]
    """(paths of ``files``, torch device) -> what measures."""
    higher_is_better: bool
    unit: str = ""
    """Empty for a pure number."""
    best: float
    """No image can do better."""
    range: tuple[float, float]
    """Lowest and highest score there can be."""
    digits: int
    """Digits behind the point, as papers print them."""
    definition: str
    """What exactly is computed, where papers differ; printed with the protocol."""
    sees: Literal["protocol", "rgb"] = "protocol"
    needs_reference: bool = True
    needs_mask: bool = False
    of_set: bool = False
    """One score for a whole set, none for an image."""
    files: tuple[str, ...] = ()
    """Public weight files it needs; empty where none is needed or they ship."""
    package: str = ""
    """Optional package it needs, which fetches its weights by itself."""
    aliases: tuple[str, ...] = ()
    """Other names of the field."""

    @property
    def needs_weights(self) -> bool:
        """Whether weights must be there that do not ship."""
        return bool(self.files or self.package)

    @property
    def needs_nothing_else(self) -> bool:
        """Whether a restored image and its ground truth are enough."""
        return not (self.needs_weights or self.needs_mask or self.of_set)

    @property
    def heading(self) -> str:
        """Name, direction and unit, as a table's head shows them."""
        return f"{self.title} {'↑' if self.higher_is_better else '↓'} {self.unit}".rstrip()
