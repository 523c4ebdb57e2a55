"""The blocks of a network in plain torch, strip by strip and in place: any device, any precision, little memory.

The network modules are the specification; only the order of work differs. Each block first gathers its sums over the
map, then changes the map, so that no intermediate result is larger than a strip.
"""

from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from diffir.inference.strips import Strip, split_rows
from diffir.systems.diffir.dirformer import Block
from diffir.systems.diffir.engine.attention import Statistics, Sums, from_cells, to_cells

FEWEST_ROWS = 8  # of a strip, since two more are computed with it


class TorchBlocks:
    """Runs blocks on maps (B, C, H, W), which it changes in place."""

    def __init__(self, strip_pixels: int) -> None:
        self.strip_pixels = strip_pixels

    def attend(self, block: Block, x: Tensor, prior: Tensor, statistics: Statistics, factor: int) -> Tensor:
        """Add to a map what attention makes of it; ``factor``: pixels of lq in a pixel of the map."""
        dmta, channels, windows = block.attn, x.shape[1], statistics.windows
        cell = None if windows is None else windows.cell // factor
        reach, step = 0 if windows is None else windows.reach, cell or 1
        modulation = _in_full_precision(dmta.modulation, prior)

        def gather_sums() -> Sums:
            found: list[Sums] = []
            for strip in split_rows(x.shape[-2], self._whole_cells(x, step), halo=1):
                piece = block.norm1(strip.of(x), modulation)
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
        mixing = None if cell is not None else dmta.project(sums.attention(dmta))[:, 0, 0]

        def change(piece: Tensor, strip: Strip) -> Tensor:
            part = slice(2 * channels, 3 * channels)
            values = strip.inner(_expanded(block.norm1(piece, modulation), dmta.qkv, dmta.qkv_dwconv, part))
            if mixing is not None:
                return _mixed(mixing.to(values.dtype), values)
            # Made for this strip alone: the matrices of all cells would take more memory than the map.
            near = sums.around(reach, strip.top // step, -(-strip.bottom // step))
            mixed = near.attention(dmta).to(values.dtype) @ to_cells(values, cell, dmta.heads)
            return dmta.project_out(from_cells(mixed, cell, *values.shape[-2:]))

        return self._update(x, change, step)

    def feed(self, block: Block, x: Tensor, prior: Tensor) -> Tensor:
        """Add to a map what the gated network makes of it."""
        dgfn, hidden = block.ffn, block.ffn.project_out.in_channels
        modulation = _in_full_precision(dgfn.modulation, prior)

        def change(piece: Tensor, strip: Strip) -> Tensor:  # DGFN.forward, its two halves made apart
            normed = block.norm2(piece, modulation)
            gate, value = (
                strip.inner(_expanded(normed, dgfn.project_in, dgfn.dwconv, part))
                for part in (slice(0, hidden), slice(hidden, 2 * hidden))
            )
            return dgfn.project_out(F.gelu(gate).mul_(value))

        return self._update(x, change)

    def _whole_cells(self, x: Tensor, cell: int) -> int:
        return -(-max(self.strip_pixels // x.shape[-1], FEWEST_ROWS) // cell) * cell

    def _update(self, x: Tensor, change: Callable[[Tensor, Strip], Tensor], step: int = 1) -> Tensor:
        """Add to each strip what ``change`` makes of it and its neighbour rows; these are the old ones."""
        above = x[..., :0, :]
        for strip in split_rows(x.shape[-2], self._whole_cells(x, step), halo=1):
            piece = torch.cat([above, x[..., strip.top : strip.bottom + strip.below, :]], dim=-2)
            above = x[..., strip.bottom - 1 : strip.bottom, :].clone()
            x[..., strip.top : strip.bottom, :] += change(piece, strip)
        return x


def _in_full_precision(modulation: torch.nn.Module, prior: Tensor) -> tuple[Tensor, Tensor]:
    """A few numbers on which every pixel hangs."""
    with torch.autocast(prior.device.type, enabled=False):
        gain, shift = modulation(prior)
        return gain, shift


def _expanded(x: Tensor, expand: nn.Conv2d, taps: nn.Conv2d, part: slice) -> Tensor:
    """Some channels of the 1x1 and the depthwise 3x3 convolution: what is made at a time should stay in the cache."""
    x = F.conv2d(x, expand.weight[part])
    return F.conv2d(x, taps.weight[part], padding=1, groups=x.shape[1])


def _mixed(mixing: Tensor, values: Tensor) -> Tensor:
    """A matrix for each image, (B, C, C), times its pixels (B, C, H, W)."""
    if len(values) == 1:
        return F.conv2d(values, mixing[0, :, :, None, None])  # faster than a product on CPUs
    mixed = values.permute(0, 2, 3, 1).flatten(1, 2) @ mixing.transpose(1, 2)
    return mixed.unflatten(1, values.shape[-2:]).permute(0, 3, 1, 2)
