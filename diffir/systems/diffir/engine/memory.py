"""Estimate the memory that a network needs, and choose the largest strips and tiles that fit.

In: settings of the network, free bytes, sides of the photo. Out: pixels of a strip and the side of a tile. A network
that runs strip by strip holds feature maps, whose memory grows with the photo, and the working memory of one strip.
"""

import math
from dataclasses import dataclass

import torch

from diffir.inference.tiling import SMALLEST_TILE
from diffir.systems.diffir import ArchSettings
from diffir.systems.diffir.engine.attention import Windows

_SHARE = 0.5  # of the free memory; the rest is reserve for fragmentation and other programs
_HOST_LIMIT = 3 * 2**29  # bytes of main memory, which is shared with all other programs
_GRAPH_LIMIT = 2**32  # bytes of main memory for a graph, which has no strips, so that tiles are rarely needed
_GRAPH_MORE = 2.5  # times the memory of a strip that is as large as the photo; measured
_CPU_STRIP = 8192  # pixels, so that a strip stays in the cache; measured, see docs/architecture.md
_LARGEST_TENSOR = 2**31 - 1  # elements, because many kernels use 32-bit indices


@dataclass(frozen=True)
class Plan:
    """The sizes of the pieces in which a photo is restored."""

    strip_pixels: int
    """Number of pixels of a strip of the feature maps at the first level."""
    tile: int | None
    """Side of the tiles in pixels of lq; None if the photo is restored whole."""


def bytes_of_strip(settings: ArchSettings) -> int:
    """Bytes of working memory per pixel of a strip where it is largest: a DGFN of decoder level 1 or the tail."""
    width, maps = 2 * settings.dim, 5 + 6 * settings.ffn_expansion
    if settings.upsample > 1:
        maps = max(maps, 6 + 3 * settings.upsample**2)
    return math.ceil(4 * width * maps)


def bytes_of_maps(settings: ArchSettings, windows: Windows | None) -> int:
    """Bytes per pixel of lq of the feature maps that exist at the same time.

    Most exist where decoder level 1 is merged with its skip connection: 3.75 times ``dim`` channels, and 4 times
    (two maps of that level) with compiled kernels. The estimate of 5 times includes the loss of allocators between maps
    of many sizes. Measured for denoise_small in torch: 125 bytes for an estimate of 120 (global), 133 for 138 (local).
    """
    maps = 4 * settings.dim * 5 / settings.unshuffle**2
    # Windows add the sums of every cell, one matrix per head, and a copy of them when strips are joined.
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
    """Choose the largest strips and tiles that fit into memory.

    Args:
        free: free bytes of the device that runs the network.
        height, width: sides of lq in pixels.
        batch: number of photos that are restored together.
    """
    # Memory for the strip.
    budget = free * _SHARE if device.type != "cpu" else min(free * _SHARE, _HOST_LIMIT)
    strip = _CPU_STRIP
    if device.type != "cpu":  # large strips need fewer kernel launches; a quarter of the memory is for them
        widest = settings.dim * max(6, 4 * settings.ffn_expansion, 2 * settings.upsample**2)  # numbers a pixel
        strip = int(min(budget / 4 / bytes_of_strip(settings), _LARGEST_TENSOR / widest) / batch)
    budget -= strip * bytes_of_strip(settings) * batch

    # The rest is for feature maps: does the whole photo fit?
    widest = 2 * settings.dim / settings.unshuffle**2
    pixels = min(budget / bytes_of_maps(settings, windows), _LARGEST_TENSOR / widest) / batch
    if height * width <= pixels:
        return Plan(strip, None)

    # Otherwise choose the largest square tile.
    multiple = settings.multiple_of
    return Plan(strip, max(int(math.sqrt(max(pixels, 0))) // multiple * multiple, SMALLEST_TILE))


def tile_of_graph(free: int, settings: ArchSettings, height: int, width: int) -> int | None:
    """Side of the largest tile that a graph restores within the memory, in pixels of lq; None for the whole photo.

    onnxruntime holds more than one block needs: measured for inpaint_small, 2,360 bytes a pixel, where a strip as large
    as the photo would need 984.
    """
    bytes_of_pixel = _GRAPH_MORE * (bytes_of_strip(settings) / settings.unshuffle**2 + bytes_of_maps(settings, None))
    pixels = min(free * _SHARE, _GRAPH_LIMIT) / bytes_of_pixel
    if height * width <= pixels:
        return None
    multiple = settings.multiple_of
    return max(int(math.sqrt(pixels)) // multiple * multiple, SMALLEST_TILE)
