"""How much memory a network takes, and the largest piece of a photo that fits.

In: network settings, free bytes, sides. Out: pixels of a strip, the side of a tile. A streamed network holds its
feature maps, which grow with the photo, and the working memory of one strip, which does not.
"""

import math
from dataclasses import dataclass

import torch

from diffir.inference.tiling import SMALLEST_TILE
from diffir.systems.diffir import ArchSettings
from diffir.systems.diffir.engine.attention import Windows

_SHARE = 0.5  # of what is free; the rest is for fragmentation and for others
_HOST_LIMIT = 3 * 2**29  # bytes on the CPU, where every other program lives too
_CPU_STRIP = 8192  # pixels: what a strip works on stays in the cache; measured, see docs/architecture.md
_LARGEST_TENSOR = 2**31 - 1  # elements; many kernels index with 32 bits


@dataclass(frozen=True)
class Plan:
    """How one photo is cut."""

    strip_pixels: int
    """Of the maps at the first level."""
    tile: int | None
    """Side in pixels of lq; None: not cut."""


def bytes_of_strip(settings: ArchSettings) -> int:
    """Working memory per pixel of a strip of the widest map: a DGFN of decoder level 1, or the enlarging tail."""
    width, maps = 2 * settings.dim, 5 + 6 * settings.ffn_expansion
    if settings.upsample > 1:
        maps = max(maps, 6 + 3 * settings.upsample**2)
    return math.ceil(4 * width * maps)


def bytes_of_maps(settings: ArchSettings, windows: Windows | None) -> int:
    """Memory per pixel of lq of the maps that live at once: at the merge of decoder level 1 with its skip 3.75 times
    ``dim``, with compiled kernels 4 times, two maps of that level; the rest is what allocators lose between maps of
    many sizes. Measured for denoise_small in torch: 125 bytes of 120 (global), 133 of 138 (local).

    Windows add the sums of every cell, one matrix a head, and their stacking.
    """
    maps = 4 * settings.dim * 5 / settings.unshuffle**2
    if windows is not None:
        heads = settings.heads[0]
        maps += 4 * 2 * heads * (2 * settings.dim / heads) ** 2 / windows.cell**2
    return math.ceil(maps)


def plan_photo(
    device: torch.device,
    free: int,
    settings: ArchSettings,
    windows: Windows | None,
    height: int,
    width: int,
    *,
    batch: int = 1,
) -> Plan:
    """The largest pieces that fit.

    Args:
        free: bytes of the device that runs the network.
        height, width: of lq, in pixels.
    """
    budget = free * _SHARE if device.type != "cpu" else min(free * _SHARE, _HOST_LIMIT)
    strip = _CPU_STRIP
    if device.type != "cpu":  # as few kernels as possible, in a quarter of the memory
        strip = int(min(budget / 4, _LARGEST_TENSOR / settings.dim) / bytes_of_strip(settings) / batch)
    budget -= strip * bytes_of_strip(settings) * batch
    widest = 2 * settings.dim / settings.unshuffle**2
    pixels = min(budget / bytes_of_maps(settings, windows), _LARGEST_TENSOR / widest) / batch
    if height * width <= pixels:
        return Plan(strip, None)
    multiple = settings.multiple_of
    return Plan(strip, max(int(math.sqrt(max(pixels, 0))) // multiple * multiple, SMALLEST_TILE))
