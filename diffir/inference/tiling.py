"""Photos in tiles: overlapped spans along both sides, and rows of tiles blended into rows of the photo.

In: a function that restores one region. Out: finished rows, from the top down, so that only one row of tiles is held.
The shares of all tiles add up to one at every pixel: tiles that agree merge into what the whole would have given.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass
from itertools import pairwise

import torch
from torch import Tensor

SMALLEST_TILE = 64  # pixels of lq; statistics over a smaller tile say little about the photo


@dataclass(frozen=True)
class Span:
    """One tile along one side."""

    start: int
    weights: Tensor
    """Its share in each of its pixels, (length,) float32; the shares of all spans add up to 1."""

    @property
    def stop(self) -> int:
        return self.start + len(self.weights)

    @property
    def place(self) -> slice:
        return slice(self.start, self.stop)


def round_tile(tile: int, overlap: int, multiple_of: int) -> int:
    """The tile really used: rounded up to a multiple, and to two of them if tiles shall overlap."""
    return max(math.ceil(tile / multiple_of), 2 if overlap else 1) * multiple_of


def split_side(side: int, tile: int, overlap: int, multiple_of: int) -> list[Span]:
    """As few spans as cover a side, about equal, each starting at a multiple, neighbours sharing ``overlap`` or more.

    None is longer than ``round_tile``; the overlap is half of that, rounded up, at most. Starts keep to multiples so
    that every tile samples the image on the same grid as the whole does.
    """
    tile = round_tile(tile, overlap, multiple_of)
    if tile >= side:
        return [Span(0, torch.ones(side))]
    shared = min(math.ceil(overlap / multiple_of), math.ceil(tile / multiple_of / 2)) * multiple_of
    steps = math.ceil((side - shared) / multiple_of)
    count = math.ceil(steps * multiple_of / (tile - shared))
    starts = [number * steps // count * multiple_of for number in range(count)]
    spans = [(start, min(after + shared, side)) for start, after in pairwise([*starts, side])]
    windows = [_window(stop - start, shared) for start, stop in spans]
    total = torch.zeros(side)
    for (start, stop), window in zip(spans, windows, strict=True):
        total[start:stop] += window
    return [Span(start, window / total[start:stop]) for (start, stop), window in zip(spans, windows, strict=True)]


def _window(length: int, shared: int) -> Tensor:
    """A raised cosine over what is shared, never zero; what neighbours share is divided by their sum."""
    ramp = min(max(shared, 1), length // 2)
    rise = torch.sin(math.pi / 2 * (torch.arange(ramp) + 0.5) / ramp) ** 2
    return torch.cat([rise, torch.ones(length - 2 * ramp), rise.flip(0)])


def blend_tiles(
    restore: Callable[[slice, slice], Tensor],
    rows: list[Span],
    columns: list[Span],
    scale: int,
    write: Callable[[int, Tensor], None],
) -> None:
    """Restore tile after tile and write blended rows as soon as no later tile touches them.

    Args:
        restore: (rows, columns) of lq -> (B, C, scale * h, scale * w) float32 on the CPU.
        write: takes the first row and rows (B, C, h, scale * W) of the output.
    """
    unfinished: Tensor | None = None  # weighted rows from the top of the next row of tiles on
    for number, row in enumerate(rows):
        band: Tensor | None = None
        for column in columns:
            tile = restore(row.place, column.place)
            if band is None:
                band = torch.zeros(*tile.shape[:3], scale * columns[-1].stop)
            across = column.weights.repeat_interleave(scale)
            band[..., scale * column.start : scale * column.stop].addcmul_(tile, across)
        assert band is not None
        band *= row.weights.repeat_interleave(scale)[:, None]
        if unfinished is not None:
            band[..., : unfinished.shape[-2], :] += unfinished
        finished = scale * ((rows[number + 1].start if number + 1 < len(rows) else row.stop) - row.start)
        write(scale * row.start, band[..., :finished, :])
        unfinished = band[..., finished:, :].clone()
