"""Cut photos into overlapping tiles, and blend restored tiles into rows of the photo.

In: a function that restores one region. Out: finished rows from top to bottom, so that memory holds only one row of
tiles. The weights of all tiles add up to one at every pixel, so tiles that agree give the result of the whole photo.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass
from itertools import pairwise

import torch
from torch import Tensor

SMALLEST_TILE = 64  # pixels of lq; statistics over a smaller tile differ too much from those of the photo


@dataclass(frozen=True)
class Span:
    """The extent of one tile along one side of the photo, in pixels."""

    start: int
    weights: Tensor
    """Blending weight of each pixel, (length,) float32; the weights of all spans add up to 1 at every pixel."""

    @property
    def stop(self) -> int:
        return self.start + len(self.weights)

    @property
    def place(self) -> slice:
        return slice(self.start, self.stop)


def round_tile(tile: int, overlap: int, multiple_of: int) -> int:
    """Round the side of a tile up to a multiple of ``multiple_of``, and to at least two of them if tiles overlap."""
    return max(math.ceil(tile / multiple_of), 2 if overlap else 1) * multiple_of


def split_side(side: int, tile: int, overlap: int, multiple_of: int) -> list[Span]:
    """Cover a side with as few spans as possible, of about equal length; neighbours share at least ``overlap`` pixels.

    No span is longer than ``round_tile`` allows, and at most half of that (rounded up) overlaps. Spans start at
    multiples of ``multiple_of``, so that every tile is sampled on the same grid as the whole photo.
    """
    # Count in units of ``multiple_of``.
    tile = round_tile(tile, overlap, multiple_of)
    if tile >= side:
        return [Span(0, torch.ones(side))]
    shared = min(math.ceil(overlap / multiple_of), math.ceil(tile / multiple_of / 2)) * multiple_of
    steps = math.ceil((side - shared) / multiple_of)
    count = math.ceil(steps * multiple_of / (tile - shared))

    # Spread the starts evenly; each span ends where the overlap with the next one ends.
    starts = [number * steps // count * multiple_of for number in range(count)]
    spans = [(start, min(after + shared, side)) for start, after in pairwise([*starts, side])]

    # Divide the windows by their sum, so that the weights add up to one at every pixel.
    windows = [_window(stop - start, shared) for start, stop in spans]
    total = torch.zeros(side)
    for (start, stop), window in zip(spans, windows, strict=True):
        total[start:stop] += window
    return [Span(start, window / total[start:stop]) for (start, stop), window in zip(spans, windows, strict=True)]


def _window(length: int, shared: int) -> Tensor:
    """Blending window (length,): a raised cosine over the shared pixels at both ends, nowhere zero."""
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
    """Restore tile after tile and write blended rows as soon as no later tile overlaps them.

    Args:
        restore: (rows, columns) of lq -> (B, C, scale * h, scale * w) float32 on the CPU.
        rows, columns: the spans of the tiles along both sides.
        write: takes the number of the first row and rows (B, C, h, scale * W) of the output.
    """
    unfinished: Tensor | None = None  # weighted rows that the next row of tiles overlaps
    for number, row in enumerate(rows):
        # Add up the weighted tiles of one row.
        band: Tensor | None = None
        for column in columns:
            tile = restore(row.place, column.place)
            if band is None:
                band = torch.zeros(*tile.shape[:3], scale * columns[-1].stop)
            across = column.weights.repeat_interleave(scale)
            band[..., scale * column.start : scale * column.stop].addcmul_(tile, across)

        # Add the part that overlaps the row of tiles above, and write the rows that are complete.
        assert band is not None
        band *= row.weights.repeat_interleave(scale)[:, None]
        if unfinished is not None:
            band[..., : unfinished.shape[-2], :] += unfinished
        finished = scale * ((rows[number + 1].start if number + 1 < len(rows) else row.stop) - row.start)
        write(scale * row.start, band[..., :finished, :])
        unfinished = band[..., finished:, :].clone()
