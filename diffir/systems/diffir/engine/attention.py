"""The sums over pixels that channel attention is computed from, over a whole feature map or over windows.

DMTA's attention depends on the pixels only through the sums q k^T, |q|^2 and |k|^2. They can therefore be gathered
strip by strip and added up over the whole photo ("global"), or over windows ("local") that consist of cells of a grid.
Local statistics suit networks that were trained on patches: Chu et al., "Improving Image Restoration by Revisiting
Global Information Aggregation" (TLC), ECCV 2022. The grid avoids computing overlapping windows more than once.
"""

from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from einops import rearrange
from torch import Tensor

from diffir.systems.diffir.dirformer import DMTA


@dataclass(frozen=True)
class Windows:
    """Square windows that move in steps of one cell; each consists of a cell and ``reach`` cells on every side."""

    cell: int
    """Side of a cell in pixels of lq; a multiple of ``Facts.multiple_of``."""
    reach: int
    """Number of neighbouring cells on every side."""

    @classmethod
    def for_patch(cls, patch: int, multiple_of: int) -> "Windows":
        """Windows about as large as the training patches; the side of a cell is at most about a third of that."""
        cell = max(patch // 3 // multiple_of, 1) * multiple_of
        return cls(cell, round((patch / cell - 1) / 2))


@dataclass(frozen=True)
class Sums:
    """Sums over the pixels of each cell, float32; for the whole map the grid has one cell."""

    products: Tensor
    """The products q k^T, (B, rows, columns, heads, c, c)."""
    squares: Tensor
    """The squared norms |q|^2 and |k|^2, (B, rows, columns, 2, heads, c)."""

    @classmethod
    def of(cls, queries: Tensor, keys: Tensor) -> "Sums":
        """Compute the sums from queries and keys in cells, (B, rows, columns, heads, c, n)."""
        queries, keys = queries.float(), keys.float()  # half precision would overflow over many pixels
        squares = torch.stack([queries.square().sum(-1), keys.square().sum(-1)], dim=3)
        return cls(queries @ keys.transpose(-2, -1), squares)

    def __add__(self, other: "Sums") -> "Sums":
        return Sums(self.products + other.products, self.squares + other.squares)

    @classmethod
    def stacked(cls, strips: list["Sums"]) -> "Sums":
        """Join the grids of the strips of a map, top to bottom."""
        return cls(torch.cat([s.products for s in strips], dim=1), torch.cat([s.squares for s in strips], dim=1))

    @classmethod
    def of_images(cls, images: list["Sums"]) -> "Sums":
        """Join the sums of single images to those of a batch."""
        return cls(torch.cat([s.products for s in images]), torch.cat([s.squares for s in images]))

    def of_image(self, number: int) -> "Sums":
        """The sums of one image of the batch, as a batch of one."""
        return Sums(self.products[number, None], self.squares[number, None])

    def around(self, reach: int, top: int, bottom: int) -> "Sums":
        """Sums over the windows of the cells in rows ``top`` to ``bottom`` (exclusive) of the grid.

        A window has (2 reach + 1)^2 cells, fewer at the edge of the map.
        """
        start, stop = max(top - reach, 0), bottom + reach
        inner = slice(top - start, bottom - start)
        return Sums(*(_box_sum(grid[:, start:stop], reach)[:, inner] for grid in (self.products, self.squares)))

    def attention(self, dmta: DMTA) -> Tensor:
        """The attention matrices (B, rows, columns, heads, c, c) of the cells."""
        return dmta.attention(self.products, self.squares)


def _box_sum(grid: Tensor, reach: int) -> Tensor:
    """Sum over the windows of all cells: along rows of the grid, then along columns."""
    for dim in (1, 2):
        total = grid.clone()
        for shift in range(1, min(reach, grid.shape[dim] - 1) + 1):
            length = grid.shape[dim] - shift
            total.narrow(dim, 0, length).add_(grid.narrow(dim, shift, length))
            total.narrow(dim, shift, length).add_(grid.narrow(dim, 0, length))
        grid = total
    return grid


def to_cells(x: Tensor, cell: int | None, heads: int) -> Tensor:
    """Cut a map (B, heads*c, H, W) into cells (B, rows, columns, heads, c, n), the last ones padded with zeros."""
    if cell is None:
        return rearrange(x, "b (heads c) h w -> b 1 1 heads c (h w)", heads=heads)
    x = F.pad(x, (0, -x.shape[-1] % cell, 0, -x.shape[-2] % cell))
    return rearrange(x, "b (heads c) (rows h) (cols w) -> b rows cols heads c (h w)", heads=heads, h=cell, w=cell)


def from_cells(cells: Tensor, cell: int | None, height: int, width: int) -> Tensor:
    """Join cells to a map (B, heads*c, height, width); the inverse of ``to_cells``."""
    if cell is None:
        return rearrange(cells, "b 1 1 heads c (h w) -> b (heads c) h w", h=height)
    x = rearrange(cells, "b rows cols heads c (h w) -> b (heads c) (rows h) (cols w)", h=cell)
    return x[..., :height, :width]


class Statistics:
    """Gathers the sums of every map anew; the base class."""

    def __init__(self, windows: Windows | None = None) -> None:
        self.windows = windows
        """None means that one attention matrix holds for the whole map."""

    def known(self, dmta: DMTA) -> Sums | None:
        """Sums that are to be used without gathering them from the map; None if they must be gathered."""
        return None

    def settle(self, dmta: DMTA, sums: Sums) -> Sums:
        """Receive the sums of the current map, and return the sums to use."""
        return sums

    def attempt(self) -> AbstractContextManager[None]:
        """Context for restoring one region; if it fails, the sums of that region are discarded."""
        return nullcontext()


class RecordedStatistics(Statistics):
    """Adds up sums over all tiles in a first pass and uses the totals for every tile in a second.

    The totals are nearly those of the whole photo.
    """

    def __init__(self) -> None:
        super().__init__()
        self.is_replaying = False
        self._sums: dict[DMTA, Sums] = {}

    def known(self, dmta: DMTA) -> Sums | None:
        return self._sums[dmta] if self.is_replaying else None

    def settle(self, dmta: DMTA, sums: Sums) -> Sums:
        earlier = self._sums.get(dmta)
        self._sums[dmta] = sums if earlier is None else earlier + sums
        return sums

    @contextmanager
    def attempt(self) -> Iterator[None]:
        # Work on a copy, which replaces the sums only after success.
        before, self._sums = self._sums, dict(self._sums)
        try:
            yield
            before = self._sums
        finally:
            self._sums = before
