"""Run the blocks of a network with torch, strip by strip and in place, on any device and in any precision.

The network modules define the result; only the order of computations differs. Each block first gathers its sums over
the map and then overwrites the map, so that no intermediate result is larger than a strip.
"""

from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from diffir.inference.strips import Strip, split_rows
from diffir.systems.diffir.dirformer import DGFN, Block
from diffir.systems.diffir.engine.attention import Statistics, Sums, from_cells, to_cells
from diffir.systems.diffir.layers import ChannelNorm

FEWEST_ROWS = 8  # per strip, because every strip computes two neighbouring rows in addition


class TorchBlocks:
    """Runs blocks on feature maps (B, C, H, W), which are overwritten."""

    def __init__(self, strip_pixels: int) -> None:
        self.strip_pixels = strip_pixels

    def attend(self, block: Block, x: Tensor, prior: Tensor, statistics: Statistics, factor: int) -> Tensor:
        """Add the output of attention to a map; ``factor`` is the side of a map pixel in pixels of lq."""
        dmta, channels, windows = block.attn, x.shape[1], statistics.windows
        cell = None if windows is None else windows.cell // factor
        reach, step = 0 if windows is None else windows.reach, cell or 1
        modulation = _in_full_precision(dmta.modulation, prior)

        # Gather the sums over pixels unless they are known.
        def gather_sums() -> Sums:
            found: list[Sums] = []
            for strip in split_rows(x.shape[-2], self._whole_cells(x, step), halo=1):
                piece = self.norm(block.norm1, strip.of(x), modulation)
                queries, keys = (
                    to_cells(strip.inner(_expanded(piece, dmta.qkv, dmta.qkv_dwconv, part)), cell, dmta.heads)
                    for part in (slice(0, channels), slice(channels, 2 * channels))
                )
                with torch.autocast(x.device.type, enabled=False):
                    found.append(Sums.of(queries, keys))
                if cell is None and len(found) == 2:
                    found = [found[0] + found[1]]
            return Sums.stacked(found)

        sums = statistics.known(dmta)
        if sums is None:
            sums = statistics.settle(dmta, gather_sums())

        # Mix the values strip by strip, and add the result to the map.
        mixing = None if cell is not None else dmta.project(sums.attention(dmta))[:, 0, 0]

        def change(piece: Tensor, strip: Strip) -> Tensor:
            part = slice(2 * channels, 3 * channels)
            values = strip.inner(_expanded(self.norm(block.norm1, piece, modulation), dmta.qkv, dmta.qkv_dwconv, part))
            if mixing is not None:
                return _mixed(mixing.to(values.dtype), values)
            # Only for the cells of this strip: the matrices of all cells would need more memory than the map.
            near = sums.around(reach, strip.top // step, -(-strip.bottom // step))
            mixed = near.attention(dmta).to(values.dtype) @ to_cells(values, cell, dmta.heads)
            return dmta.project_out(from_cells(mixed, cell, *values.shape[-2:]))

        return self._update(x, change, step)

    def feed(self, block: Block, x: Tensor, prior: Tensor) -> Tensor:
        """Add the output of the gated feed-forward network to a map."""
        dgfn = block.ffn
        modulation = _in_full_precision(dgfn.modulation, prior)

        def change(piece: Tensor, strip: Strip) -> Tensor:
            return dgfn.project_out(self.gated(dgfn, self.norm(block.norm2, piece, modulation), strip))

        return self._update(x, change)

    def norm(self, norm: ChannelNorm, x: Tensor, modulation: tuple[Tensor, Tensor]) -> Tensor:
        """Normalise and modulate a map (B, C, H, W)."""
        normed: Tensor = norm(x, modulation)
        return normed

    def gated(self, dgfn: DGFN, normed: Tensor, strip: Strip) -> Tensor:
        """Expand, convolve and gate a strip (B, C, h, W) as DGFN does -> its inner rows (B, hidden, rows, W)."""
        # The two halves are computed separately, so that each of them fits the cache.
        hidden = dgfn.project_out.in_channels
        gate, value = (
            strip.inner(_expanded(normed, dgfn.project_in, dgfn.dwconv, part))
            for part in (slice(0, hidden), slice(hidden, 2 * hidden))
        )
        return F.gelu(gate).mul_(value)

    def _whole_cells(self, x: Tensor, cell: int) -> int:
        """Number of rows of a strip, a multiple of the side of a cell."""
        return -(-max(self.strip_pixels // x.shape[-1], FEWEST_ROWS) // cell) * cell

    def _update(self, x: Tensor, change: Callable[[Tensor, Strip], Tensor], step: int = 1) -> Tensor:
        """Add ``change(strip with neighbouring rows)`` to each strip; all rows it receives are the old ones."""
        above = x[..., :0, :]
        for strip in split_rows(x.shape[-2], self._whole_cells(x, step), halo=1):
            piece = torch.cat([above, x[..., strip.top : strip.bottom + strip.below, :]], dim=-2)
            above = x[..., strip.bottom - 1 : strip.bottom, :].clone()
            x[..., strip.top : strip.bottom, :] += change(piece, strip)
        return x


def _in_full_precision(modulation: torch.nn.Module, prior: Tensor) -> tuple[Tensor, Tensor]:
    """Compute gain and shift in fp32: they are few numbers, and every pixel depends on them."""
    with torch.autocast(prior.device.type, enabled=False):
        gain, shift = modulation(prior)
        return gain, shift


def _expanded(x: Tensor, expand: nn.Conv2d, taps: nn.Conv2d, part: slice) -> Tensor:
    """Apply the 1x1 and the depthwise 3x3 convolution for some of the channels, so that the result fits the cache."""
    x = F.conv2d(x, expand.weight[part])
    return F.conv2d(x, taps.weight[part], padding=1, groups=x.shape[1])


def _mixed(mixing: Tensor, values: Tensor) -> Tensor:
    """Multiply the pixels of a map (B, C, H, W) by one matrix per image, (B, C, C)."""
    if len(values) == 1:
        return F.conv2d(values, mixing[0, :, :, None, None])  # faster on CPUs than a matrix product
    mixed = values.permute(0, 2, 3, 1).flatten(1, 2) @ mixing.transpose(1, 2)
    return mixed.unflatten(1, values.shape[-2:]).permute(0, 3, 1, 2)
