"""Strips of rows: cut a feature map into pieces so that intermediate results stay small."""

from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction

from torch import Tensor


@dataclass(frozen=True)
class Strip:
    """Consecutive rows of a map, and the numbers of neighbouring rows that a computation reads with them."""

    top: int
    bottom: int
    """First row after the strip (exclusive end)."""
    above: int
    """Neighbouring rows above; fewer at the edge of the map."""
    below: int
    """Neighbouring rows below; fewer at the edge of the map."""

    def of(self, x: Tensor) -> Tensor:
        """The rows of the strip in ``x`` (..., H, W), with their neighbouring rows."""
        return x[..., self.top - self.above : self.bottom + self.below, :]

    def inner(self, result: Tensor) -> Tensor:
        """Remove the neighbouring rows from a result that was computed from ``of(x)``, at any scale."""
        factor = Fraction(result.shape[-2], self.above + self.bottom - self.top + self.below)
        start = int(self.above * factor)
        return result[..., start : start + int((self.bottom - self.top) * factor), :]


def split_rows(height: int, rows: int, halo: int) -> Iterator[Strip]:
    """Cut ``height`` rows into strips of ``rows``, top to bottom, each with up to ``halo`` neighbouring rows."""
    for top in range(0, height, rows):
        bottom = min(top + rows, height)
        yield Strip(top, bottom, min(halo, top), min(halo, height - bottom))
