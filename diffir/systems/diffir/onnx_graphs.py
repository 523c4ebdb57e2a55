"""The two graphs of a network, as modules that torch can trace with dynamic sizes.

``PriorGraph``: a photo of any size, with its mask if the network fills holes -> the prior, and lq as the restorer reads
it: padded, with filled holes. ``RestorerGraph``: lq and prior -> image. What depends on the size is written without
branches on it, by index arithmetic, so that one graph serves all sizes.
"""

import copy

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from diffir.hole_fill import SWEEPS
from diffir.systems.diffir.dirformer import DMTA, Block, Level
from diffir.systems.diffir.engine.attention import Sums, Windows
from diffir.systems.diffir.network import DiffIR
from diffir.systems.diffir.settings import LEVELS

_DEPTHS = {"encoder_level1": 0, "encoder_level2": 1, "encoder_level3": 2, "latent": 3}
_DEPTHS |= {"decoder_level3": 2, "decoder_level2": 1, "decoder_level1": 0, "refinement": 0}
_HALVINGS = 14  # of a side of up to 16,384 pixels, down to one


class PriorGraph(nn.Module):
    """Prepares a photo and estimates its prior, from the noise (1, P) that it holds; without a prior it returns 1."""

    noise: Tensor

    def __init__(self, network: DiffIR, noise: Tensor) -> None:
        super().__init__()
        self.network = network
        self.register_buffer("noise", noise)

    def forward(self, image: Tensor, mask: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """Return the prior (1, P), and lq (1, C, h, w) with sides that are multiples of ``settings.multiple_of``.

        Args:
            image: (H, W, 3) in [0, 1], RGB.
            mask: (H, W), above 0 where pixels are missing.
        """
        settings = self.network.settings
        lq = image.permute(2, 0, 1)[None]
        if mask is not None:
            holes = mask[None, None] > 0
            known = torch.where(holes, 0.0, lq)
            filled = _fill(known, holes) if settings.hole_fill == "membrane" else known
            lq = torch.cat([filled, holes.float()], dim=1)
        for axis in (2, 3):
            lq = _mirrored(lq, axis, settings.multiple_of, repeats_edge=settings.has_mask)
        if not settings.prior_width:
            return torch.ones(1, 1), lq
        seen = lq if not settings.thumbnail else _thumbnail(lq, settings.thumbnail)
        condition = self.network.cpen(F.pixel_unshuffle(seen, settings.prior_unshuffle))
        return self.network.denoise_prior(self.noise, condition)[-1], lq


class RestorerGraph(nn.Module):
    """Restores lq (1, C, h, w) under a prior (1, P); attention looks at the whole of lq, or at windows.

    Without windows the sums that attention is computed from go in and out, so that all tiles of a photo can share them.
    """

    def __init__(self, network: DiffIR, windows: Windows | None) -> None:
        super().__init__()
        self.dirformer = copy.deepcopy(network.dirformer)
        self.windows = windows
        self._attentions: list[_Attention] = []
        for name, depth in _DEPTHS.items():
            level = getattr(self.dirformer, name)
            assert isinstance(level, Level)
            for block in level:
                assert isinstance(block, Block)
                attention = _Attention(block.attn, 2**depth, 0 if windows is None else windows.reach)
                block.attn = attention  # type: ignore[assignment]
                self._attentions.append(attention)

    @property
    def sums_width(self) -> int:
        """Number of the sums over pixels that attention is computed from, in all blocks."""
        return sum(attention.width for attention in self._attentions)

    def forward(
        self, lq: Tensor, prior: Tensor, sums: Tensor | None = None, known: Tensor | None = None
    ) -> tuple[Tensor, Tensor] | Tensor:
        """Return the image (1, 3, scale*h, scale*w), not clamped, and without windows the sums (N,) over lq.

        Args:
            sums: (N,), used instead of those over lq if ``known`` (1,) is above 0.
        """
        if sums is None or known is None:
            assert self.windows is not None
            factor, sides = self.dirformer.settings.unshuffle, lq.shape[2:]
            depths = [factor * 2**depth for depth in range(LEVELS)]
            grids = {f: _Grid(self.windows.cell // f, sides[0] // f, sides[1] // f) for f in depths}
            for attention in self._attentions:
                attention.grid = grids[factor * attention.shrinks]
            return self.dirformer(lq, prior)
        given = sums.split([attention.width for attention in self._attentions])
        for attention, part in zip(self._attentions, given, strict=True):
            attention.given, attention.known = part, known
        restored = self.dirformer(lq, prior)
        return restored, torch.cat([attention.own for attention in self._attentions])


class _Attention(nn.Module):
    """DMTA, whose sums are gathered in the open: over the whole map, or over windows."""

    given: Tensor
    known: Tensor
    own: Tensor

    def __init__(self, dmta: DMTA, shrinks: int, reach: int) -> None:
        """``shrinks``: side of a pixel of this level in pixels of the first level."""
        super().__init__()
        self.dmta = dmta
        self.modulation = dmta.modulation  # where a block looks for it
        self.shrinks = shrinks
        self.reach = reach
        self.grid: _Grid | None = None
        channels, heads = dmta.project_out.out_channels, dmta.heads
        self._products, self._squares = (heads, channels // heads, channels // heads), (2, heads, channels // heads)
        self.width = channels**2 // heads + 2 * channels

    def forward(self, x: Tensor) -> Tensor:
        """The residual (1, C, H, W), as ``DMTA.forward`` computes it."""
        dmta, qkv = self.dmta, self.dmta.qkv_dwconv(self.dmta.qkv(x))
        if self.grid is not None:
            q, k, v = self.grid.cut(qkv, 3 * dmta.heads).unflatten(3, (3, dmta.heads)).unbind(3)
            sums, reach = Sums.of(q, k), self.reach
            near = Sums(_box_sum(sums.products, reach), _box_sum(sums.squares, reach))
            return dmta.project_out(self.grid.joined(near.attention(dmta) @ v))
        q, k, v = qkv.chunk(3, dim=1)
        q, k = (part.reshape(dmta.heads, -1, x.shape[2] * x.shape[3]) for part in (q, k))
        own = Sums(q @ k.transpose(-2, -1), torch.stack([q.square().sum(-1), k.square().sum(-1)]))
        self.own = torch.cat([own.products.flatten(), own.squares.flatten()])
        used = torch.where(self.known > 0, self.given, self.own)
        products, squares = used.split([self.width - 2 * x.shape[1], 2 * x.shape[1]])
        mixing = dmta.project(dmta.attention(products.reshape(self._products), squares.reshape(self._squares)))
        return F.conv2d(v, mixing[:, :, None, None])


class _Grid:
    """The cells of the maps of one size; blocks share it, so that its indices are in the graph once."""

    def __init__(self, cell: int, height: int, width: int) -> None:
        self._cell, self._sides = cell, (height, width)
        self._counts = tuple((side + cell - 1) // cell for side in self._sides)
        self._places, self._inside, self._back = [], [], []
        for side, count in zip(self._sides, self._counts, strict=True):
            places = torch.arange(count * cell)
            self._places.append(places.clamp_max(side - 1))
            self._inside.append((places < side).float())
            self._back.append(torch.arange(side))

    def cut(self, x: Tensor, heads: int) -> Tensor:
        """Cut a map into cells (1, rows, columns, heads, c, n), the last ones padded with zeros."""
        (rows, columns), cell = self._counts, self._cell
        x = x.index_select(2, self._places[0]).index_select(3, self._places[1])
        x = x * (self._inside[0][:, None] * self._inside[1])
        x = x.reshape(heads, -1, rows, cell, columns, cell)
        return x.permute(2, 4, 0, 1, 3, 5).reshape(1, rows, columns, heads, -1, cell * cell)

    def joined(self, cells: Tensor) -> Tensor:
        """Join cells to a map (1, C, height, width); the inverse of ``cut``."""
        (rows, columns), cell = self._counts, self._cell
        x = cells.reshape(rows, columns, -1, cell, cell).permute(2, 0, 3, 1, 4)
        x = x.reshape(1, -1, rows * cell, columns * cell)
        return x.index_select(2, self._back[0]).index_select(3, self._back[1])


def _box_sum(grid: Tensor, reach: int) -> Tensor:
    """Sum over the windows of all cells (1, rows, columns, ...): along rows, then along columns."""
    for dim in (1, 2):
        margins = [0, 0] * (grid.ndim - dim - 1) + [reach, reach]
        wide, before = F.pad(grid, margins), (slice(None),) * dim
        parts = [wide[(*before, slice(shift, shift - 2 * reach or None))] for shift in range(2 * reach + 1)]
        grid = sum(parts[1:], parts[0])
    return grid


def _mirrored(x: Tensor, axis: int, multiple: int, *, repeats_edge: bool) -> Tensor:
    """Continue an axis by the mirror image to a multiple; as ``diffir.inference.source`` does."""
    side = x.shape[axis]
    places = torch.arange((side + multiple - 1) // multiple * multiple)
    if repeats_edge:
        period, last = torch.full((), 2 * side), 2 * side - 1
    else:
        period, last = torch.full((), 2 * side - 2).clamp_min(1), 2 * side - 2
    places = places % period
    return x.index_select(axis, torch.minimum(places, last - places))


def _thumbnail(x: Tensor, side: int) -> Tensor:
    """Shrink to (1, C, side, side); each pixel is the mean of the pixels that it covers."""
    for axis in (2, 3):
        length, numbers = x.shape[axis], torch.arange(side)[:, None]
        start, stop = numbers * length // side, ((numbers + 1) * length + side - 1) // side
        places = torch.arange(length)
        covers = ((places >= start) & (places < stop)).float() / (stop - start)
        x = covers @ x if axis == 2 else x @ covers.T
    return x


def _fill(image: Tensor, holes: Tensor, halvings: int = _HALVINGS) -> Tensor:
    """Fill holes (1, 1, H, W) of an image that is 0 in them; as ``diffir.hole_fill`` does."""
    if not halvings:
        return image
    known = _halved((~holes).float())
    coarse = _fill(_halved(image) / known.clamp_min(0.25), known == 0, halvings - 1)
    filled = torch.where(holes, _doubled(_doubled(coarse, 2, image.shape[2]), 3, image.shape[3]), image)
    rows, columns = (torch.arange(side + 2).sub(1).clamp(0, side - 1) for side in image.shape[2:])
    cross = torch.tensor([[0, 0.25, 0], [0.25, 0, 0.25], [0, 0.25, 0]]).expand(3, 1, 3, 3)
    for _ in range(SWEEPS):
        mean = F.conv2d(filled.index_select(2, rows).index_select(3, columns), cross, groups=3)
        filled = torch.where(holes, mean, filled)
    return filled


def _halved(x: Tensor) -> Tensor:
    """Mean of each block of 2 x 2 pixels; beyond the edge a pixel counts twice, which is the mean of what is there."""
    for axis in (2, 3):
        side = x.shape[axis]
        first = 2 * torch.arange((side + 1) // 2)
        x = (x.index_select(axis, first) + x.index_select(axis, (first + 1).clamp_max(side - 1))) / 2
    return x


def _doubled(x: Tensor, axis: int, length: int) -> Tensor:
    """Linear interpolation to twice the side with aligned pixel centres, cut off at ``length``."""
    places = torch.arange(length)
    near = places // 2
    other = (near + places % 2 * 2 - 1).clamp_min(0).minimum(torch.full((), x.shape[axis] - 1))
    return 0.75 * x.index_select(axis, near) + 0.25 * x.index_select(axis, other)
