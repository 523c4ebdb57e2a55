"""Strips of rows: how a map is cut so that what is computed of a piece stays small."""

from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction

from torch import Tensor


@dataclass(frozen=True)
class Strip:
    """Rows of a map, and how many rows around them are at hand."""

    top: int
    bottom: int
    above: int
    below: int

    def of(self, x: Tensor) -> Tensor:
        """Its rows with those around them."""
        return x[..., self.top - self.above : self.bottom + self.below, :]

    def inner(self, result: Tensor) -> Tensor:
        """Of what was computed from ``of``, larger or smaller by any factor, the strip's own rows."""
        factor = Fraction(result.shape[-2], self.above + self.bottom - self.top + self.below)
        start = int(self.above * factor)
        return result[..., start : start + int((self.bottom - self.top) * factor), :]


def split_rows(height: int, rows: int, halo: int) -> Iterator[Strip]:
    """Strips of ``rows`` from top to bottom; at the edges of the map there is no row beyond."""
    for top in range(0, height, rows):
        bottom = min(top + rows, height)
        yield Strip(top, bottom, min(halo, top), min(halo, height - bottom))
