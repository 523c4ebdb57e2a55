"""The description of a metric: the facts that tables, reports and protocol lines need, and how it is loaded.

The function of a metric gets a restored image, then the ground truth if it needs one, then the mask if it needs one.
The field ``sees`` decides whether images are the arrays of ``Protocol.apply`` or RGB with the same border cut. All
arrays are h x w x c on the 8-bit scale.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, NamedTuple

import numpy as np

Paths = Mapping[str, Path]
"""Weight files by their name in ``weight_files.PUBLIC_FILES``."""
Score = Callable[..., float]
"""A function of restored, gt (if needed) and mask (if needed) that returns the score of one image."""


class SetDistance(NamedTuple):
    """A metric of two whole sets: features are computed image by image, then those of both sets are compared."""

    describe: Callable[[np.ndarray], np.ndarray]
    """Function from an image to its D features."""
    compare: Callable[[np.ndarray, np.ndarray], float]
    """Function from the features of the restored images (N, D) and the ground truths (M, D) to the score."""


@dataclass(frozen=True, kw_only=True)
class Metric:
    """One metric: its name, its properties, and how it is loaded."""

    name: str
    """Name in options, commands and JSON files."""
    title: str
    """Name in the head of a table."""
    load: Callable[[Paths, str], Score | SetDistance]
    """Function from the paths of ``files`` and a torch device to the function that computes the metric."""
    higher_is_better: bool
    unit: str = ""
    """Unit of the score; empty for a pure number."""
    best: float
    """The best score that is possible."""
    range: tuple[float, float]
    """Lowest and highest possible score."""
    digits: int
    """Number of decimals, as papers print them."""
    definition: str
    """States exactly what is computed, since papers differ; it is printed with the protocol."""
    sees: Literal["protocol", "rgb"] = "protocol"
    needs_reference: bool = True
    needs_mask: bool = False
    of_set: bool = False
    """True if there is one score for a whole set, and none for a single image."""
    files: tuple[str, ...] = ()
    """Names of the public weight files it needs; empty if it needs none or they ship with the package."""
    package: str = ""
    """Optional package it needs, which downloads its weights by itself."""
    aliases: tuple[str, ...] = ()
    """Other names by which the metric may be chosen."""

    @property
    def needs_weights(self) -> bool:
        """Return whether the metric needs weights that do not ship with the package."""
        return bool(self.files or self.package)

    @property
    def needs_nothing_else(self) -> bool:
        """Return whether a restored image and its ground truth suffice, without weights, mask or a set."""
        return not (self.needs_weights or self.needs_mask or self.of_set)

    @property
    def heading(self) -> str:
        """Name, direction of improvement and unit, for the head of a table."""
        return f"{self.title} {'↑' if self.higher_is_better else '↓'} {self.unit}".rstrip()
