"""Which pixels an attention map is made of: the sums that channel attention needs, over all of a map or near a place.

DMTA's attention follows from sums over pixels alone: q k^T, |q|^2 and |k|^2. So they can be gathered strip by strip,
added up over the whole photo ("global"), or kept in a grid of cells and added up over the cells around each ("local").
Local statistics at test time serve networks trained on patches: Chu et al., "Improving Image Restoration by Revisiting
Global Information Aggregation" (TLC), ECCV 2022; our cells need no window to be computed twice.
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
    """Square windows that slide in steps of a cell: a cell sees itself and ``reach`` cells on each side."""

    cell: int
    """Side in pixels of lq; a multiple of what the network needs."""
    reach: int

    @classmethod
    def for_patch(cls, patch: int, multiple_of: int) -> "Windows":
        """Windows about as large as the patches of the training, in cells of a third of it or a little less."""
        cell = max(patch // 3 // multiple_of, 1) * multiple_of
        return cls(cell, round((patch / cell - 1) / 2))


@dataclass(frozen=True)
class Sums:
    """Sums over the pixels of each cell, a grid of one cell for the whole; fp32."""

    products: Tensor
    """q k^T, (B, rows, columns, heads, c, c)."""
    squares: Tensor
    """|q|^2 and |k|^2, (B, rows, columns, 2, heads, c)."""

    @classmethod
    def of(cls, queries: Tensor, keys: Tensor) -> "Sums":
        """From q and k in cells, (B, rows, columns, heads, c, n)."""
        queries, keys = queries.float(), keys.float()  # half precision would overflow over many pixels
        squares = torch.stack([queries.square().sum(-1), keys.square().sum(-1)], dim=3)
        return cls(queries @ keys.transpose(-2, -1), squares)

    def __add__(self, other: "Sums") -> "Sums":
        return Sums(self.products + other.products, self.squares + other.squares)

    @classmethod
    def stacked(cls, strips: list["Sums"]) -> "Sums":
        """The grid of a map from those of its strips, top to bottom."""
        return cls(torch.cat([s.products for s in strips], dim=1), torch.cat([s.squares for s in strips], dim=1))

    @classmethod
    def of_images(cls, images: list["Sums"]) -> "Sums":
        """Of a batch, from those of its images."""
        return cls(torch.cat([s.products for s in images]), torch.cat([s.squares for s in images]))

    def of_image(self, number: int) -> "Sums":
        """Of one image of the batch, as a batch of one."""
        return Sums(self.products[number, None], self.squares[number, None])

    def around(self, reach: int, top: int, bottom: int) -> "Sums":
        """For the cells of some rows, sums over the (2 reach + 1)^2 cells around each, fewer at the edge."""
        start, stop = max(top - reach, 0), bottom + reach
        inner = slice(top - start, bottom - start)
        return Sums(*(_box_sum(grid[:, start:stop], reach)[:, inner] for grid in (self.products, self.squares)))

    def attention(self, dmta: DMTA) -> Tensor:
        """(B, rows, columns, heads, c, c): what each cell's values are mixed with."""
        return dmta.attention(self.products, self.squares)


def _box_sum(grid: Tensor, reach: int) -> Tensor:
    for dim in (1, 2):
        total = grid.clone()
        for shift in range(1, min(reach, grid.shape[dim] - 1) + 1):
            length = grid.shape[dim] - shift
            total.narrow(dim, 0, length).add_(grid.narrow(dim, shift, length))
            total.narrow(dim, shift, length).add_(grid.narrow(dim, 0, length))
        grid = total
    return grid


def to_cells(x: Tensor, cell: int | None, heads: int) -> Tensor:
    """(B, heads*c, H, W) -> (B, rows, columns, heads, c, n); zeros fill the last cells, and add nothing to sums."""
    if cell is None:
        return rearrange(x, "b (heads c) h w -> b 1 1 heads c (h w)", heads=heads)
    x = F.pad(x, (0, -x.shape[-1] % cell, 0, -x.shape[-2] % cell))
    return rearrange(x, "b (heads c) (rows h) (cols w) -> b rows cols heads c (h w)", heads=heads, h=cell, w=cell)


def from_cells(cells: Tensor, cell: int | None, height: int, width: int) -> Tensor:
    """Inverse of ``to_cells``: (B, heads*c, height, width)."""
    if cell is None:
        return rearrange(cells, "b 1 1 heads c (h w) -> b (heads c) h w", h=height)
    x = rearrange(cells, "b rows cols heads c (h w) -> b (heads c) (rows h) (cols w)", h=cell)
    return x[..., :height, :width]


class Statistics:
    """Every map its own sums; the base of what may be done with them."""

    def __init__(self, windows: Windows | None = None) -> None:
        self.windows = windows
        """None: one attention for the whole map."""

    def known(self, dmta: DMTA) -> Sums | None:
        """Sums to use without looking at the map; None: gather them."""
        return None

    def settle(self, dmta: DMTA, sums: Sums) -> Sums:
        """The sums to use, from those of the map at hand."""
        return sums

    def attempt(self) -> AbstractContextManager[None]:
        """Around the run of one region: one that fails leaves no trace."""
        return nullcontext()


class RecordedStatistics(Statistics):
    """Sums added up over tiles in a first pass and used in every tile of a second: nearly those of the whole photo."""

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
        before, self._sums = self._sums, dict(self._sums)
        try:
            yield
            before = self._sums
        finally:
            self._sums = before
