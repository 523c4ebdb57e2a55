"""Images in pieces: padding to the size a network takes, overlapped tiles that blend into one image, their size.

In: a tensor (B, C, H, W) and a function of such tensors. Out: the function's result on the whole, made tile by tile.
The weights of all tiles add up to one at every pixel, so tiles that agree merge into what the whole would have given.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from diffir.archs import ArchSettings

SMALLEST_TILE = 64  # pixels of lq; below this, statistics over a tile say little of the photo
_MEMORY_SHARE = 0.5  # of what is free; the rest is for fragmentation and for others
_LARGEST_TENSOR = 2**31 - 1  # elements; many kernels index with 32 bits


def pad_to_multiple(image: Tensor, multiple: int, *, symmetric: bool = False) -> Tensor:
    """Mirror an image over its right and bottom edge until its sides are multiples; any size works, even 1 x 1.

    Args:
        image: (..., H, W).
        symmetric: repeat the edge pixel (the inpainting networks' rule) instead of mirroring about it.
    """
    for dim in (-2, -1):
        side = image.shape[dim]
        padded = math.ceil(side / multiple) * multiple
        if padded != side:
            image = image.index_select(dim, _mirror(side, padded, symmetric).to(image.device))
    return image


def _mirror(side: int, padded: int, symmetric: bool) -> Tensor:
    """Indices 0 ... side-1 and on, back and forth."""
    period = 2 * side if symmetric else max(2 * side - 2, 1)
    index = torch.arange(padded) % period
    return torch.where(index < side, index, period - index - int(symmetric))


@dataclass(frozen=True)
class Span:
    """One tile along one side."""

    start: int
    weights: Tensor
    """Its share in each of its pixels, (length,) float32; the shares of all spans add up to 1."""

    @property
    def stop(self) -> int:
        return self.start + len(self.weights)


def round_tile(tile: int, overlap: int, multiple_of: int) -> int:
    """The tile really used: rounded up to a multiple, and to two of them if tiles shall overlap."""
    return max(math.ceil(tile / multiple_of), 2 if overlap else 1) * multiple_of


def split_side(side: int, tile: int, overlap: int, multiple_of: int) -> list[Span]:
    """Spans that cover a side, each starting at a multiple, neighbours sharing ``overlap`` or more.

    Their length is ``round_tile``, the overlap half of it at most. Starts keep to multiples so that every tile samples
    the image on the same grid as the whole does.
    """
    tile = round_tile(tile, overlap, multiple_of)
    overlap = min(overlap, tile // 2)
    if tile >= side:
        return [Span(0, torch.ones(side))]
    stride = max((tile - overlap) // multiple_of, 1) * multiple_of
    starts = [*range(0, side - tile, stride), side - tile]
    # A raised cosine over the overlap, never zero; what neighbours share is divided by their sum below.
    ramp = min(max(overlap, 1), tile // 2)
    rise = torch.sin(math.pi / 2 * (torch.arange(ramp) + 0.5) / ramp) ** 2
    window = torch.cat([rise, torch.ones(tile - 2 * ramp), rise.flip(0)])
    total = torch.zeros(side)
    for start in starts:
        total[start : start + tile] += window
    return [Span(start, window / total[start : start + tile]) for start in starts]


def run_tiled(
    function: Callable[[Tensor], Tensor],
    image: Tensor,
    *,
    tile: int,
    overlap: int,
    multiple_of: int,
    scale: int = 1,
    on_tile: Callable[[int, int], None] | None = None,
) -> Tensor:
    """Apply a function to overlapped tiles and blend what comes back.

    Args:
        function: (B, C, tile, tile) -> (B, D, scale*tile, scale*tile); may return on another device.
        image: (B, C, H, W), sides multiples of ``multiple_of``.
        tile, overlap: pixels of ``image``, as ``split_side`` takes them.
        on_tile: called after each tile with (tiles done, tiles in all).
    Returns:
        (B, D, scale*H, scale*W) on the device of ``image``, float32.
    """
    rows, columns = (split_side(side, tile, overlap, multiple_of) for side in image.shape[-2:])
    merged: Tensor | None = None
    for done, (row, column) in enumerate(((r, c) for r in rows for c in columns), start=1):
        result = function(image[..., row.start : row.stop, column.start : column.stop]).to(image.device, torch.float32)
        if merged is None:
            sides = (scale * side for side in image.shape[-2:])
            merged = torch.zeros(*result.shape[:2], *sides, device=image.device)
        down, across = (span.weights.repeat_interleave(scale).to(image.device) for span in (row, column))
        place = merged[..., scale * row.start : scale * row.stop, scale * column.start : scale * column.stop]
        place += result * (down[:, None] * across)
        if on_tile is not None:
            on_tile(done, len(rows) * len(columns))
    assert merged is not None
    return merged


def bytes_per_pixel(settings: ArchSettings) -> int:
    """Peak memory of the network per pixel of lq, from above, in fp32.

    Counts the maps that live at once in the widest place: a DGFN of decoder level 1, or the enlarging tail. Measured:
    deblur 5500, inpaint 5400, sr_x4 23000, realsr_x1 1700, denoise_small 1000 bytes; this gives 6500, 6600, 27600,
    1700, 1200.
    """
    width = 2 * settings.dim
    maps = 5 + 6 * settings.ffn_expansion
    if settings.upsample > 1:
        maps = max(maps, 6 + 3 * settings.upsample**2)
    return math.ceil(4 * width * maps / settings.unshuffle**2)


def choose_tile(free_bytes: int, settings: ArchSettings, height: int, width: int, *, batch: int = 1) -> int | None:
    """The largest tile that fits, or None where the whole image does.

    Args:
        free_bytes: of the device that runs the network.
        height, width: of lq, in pixels.
    """
    widest = 4 * 2 * settings.dim * max(settings.ffn_expansion, settings.upsample**2) / settings.unshuffle**2
    by_memory = free_bytes * _MEMORY_SHARE / bytes_per_pixel(settings)
    pixels = min(by_memory, _LARGEST_TENSOR / widest) / batch
    if height * width <= pixels:
        return None
    multiple = settings.multiple_of
    return max(int(math.sqrt(pixels)) // multiple * multiple, SMALLEST_TILE)
