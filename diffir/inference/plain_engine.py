"""``PlainEngine``: restores with a network that maps an image to an image and needs nothing else of the photo.

In: a network (1, C, h, w) -> (1, 3, scale * h, scale * w), and the facts about it. Out: rows of the output. Where it is
known how far a network looks, each tile is computed with that many pixels around it, so tiles give the result of the
whole photo. Other tiles overlap and are blended. The memory of a pixel is measured on a small input.
"""

import math
from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn

from diffir.inference.device import autocast, free_bytes
from diffir.inference.live_bytes import peak_of_live_bytes
from diffir.inference.multiply_adds import multiply_adds_of
from diffir.inference.tiling import SMALLEST_TILE
from diffir.system import Facts, OnProgress, Precision, Region, Write, without_prior

_SHARE = 0.5  # of the free memory; the rest is reserve for kernels' own memory and other programs
_HOST_LIMIT = 3 * 2**29  # bytes of main memory, which is shared with all other programs
_TRIAL = 64  # pixels a side of the input that memory is measured on; larger networks take about a second for it
_ALWAYS_WHOLE = 9 * _TRIAL**2  # pixels of a photo for which a trial would cost more than a tenth of the restoration
_BLENDED_OVERLAP = 32  # pixels that tiles share where it is unknown how far the network looks; a matter of taste


class PlainEngine:
    """A network on its device, ready to restore; the methods are described in ``diffir.system.Engine``."""

    seed_meaning = ""  # such networks draw no random numbers
    has_prior = False
    estimate_prior = check_prior = without_prior

    def __init__(
        self,
        network: nn.Module,
        device: torch.device,
        facts: Facts,
        *,
        kind: str,
        reach: int | None,
        options: Mapping[str, Any] | None = None,
    ) -> None:
        """
        Args:
            network: maps (1, C, h, w) in [0, 1], RGB and a mask if ``facts`` says so, to (1, 3, scale * h, scale * w).
            facts: of the network.
            kind: what the network is, for tables.
            reach: number of pixels of lq to each side that one pixel of the output depends on; None if unknown.
            options: the system's own options that take effect.
        """
        self.network = network.eval().requires_grad_(False)
        self.device = device
        self.facts = facts
        self.least_overlap = _BLENDED_OVERLAP if reach is None else 0
        self.reach = reach or 0
        self._kind = kind
        self._options = dict(options or {})
        self._bytes_of_pixel: float | None = None

    @property
    def tile_step(self) -> int:
        return self.facts.multiple_of

    @property
    def description(self) -> str:
        return self._kind

    def to(self, device: torch.device) -> None:
        self.device = device
        self.network.to(device)

    def in_use(self, precision: Precision) -> dict[str, Any]:
        """The options that take effect."""
        return dict(self._options)

    def multiply_adds(self, side: int) -> int:
        return multiply_adds_of(lambda: self.network(self._black(side)))

    def largest_tile(self, height: int, width: int, batch: int) -> int | None:
        """Side of the largest tile that fits; photos of a batch run one by one, so their number plays no part."""
        if height * width <= _ALWAYS_WHOLE:
            return None
        if self._bytes_of_pixel is None:
            side = math.ceil(_TRIAL / self.facts.multiple_of) * self.facts.multiple_of
            self._bytes_of_pixel = peak_of_live_bytes(lambda: self.network(self._black(side))) / side**2
        budget = _SHARE * free_bytes(self.device)
        pixels = (budget if self.device.type != "cpu" else min(budget, _HOST_LIMIT)) / self._bytes_of_pixel
        if height * width <= pixels:
            return None
        step = self.facts.multiple_of
        return max((math.isqrt(int(pixels)) - 2 * self.reach) // step * step, SMALLEST_TILE)

    def open(
        self, photos: Region, *, seed: int, prior: Tensor | None, tile: int | None, precision: Precision
    ) -> "PlainSession":
        if prior is not None:
            without_prior(self)
        return PlainSession(self, photos)

    def _black(self, side: int) -> Tensor:
        return torch.zeros(1, self.facts.in_channels, side, side, device=self.device)


class PlainSession:
    """One batch of photos while it is restored region by region."""

    passes = 1

    def __init__(self, engine: PlainEngine, photos: Region) -> None:
        self._engine = engine
        self._photos = photos

    def end_first_pass(self) -> None:
        """There is one pass."""

    @torch.no_grad()
    def restore(self, region: Region, write: Write, precision: Precision, on_progress: OnProgress) -> None:
        engine, photos, scale = self._engine, self._photos, self._engine.facts.scale
        # Read the region with the pixels around it that the network looks at, as far as the photo goes.
        top, bottom = _widened(region.top, region.height, engine.reach, engine.tile_step, photos.height)
        left, right = _widened(region.left, region.width, engine.reach, engine.tile_step, photos.width)
        lq = photos.rows(top, bottom)[..., left:right]
        rows = slice(scale * (region.top - top), scale * (region.top - top + region.height))
        columns = slice(scale * (region.left - left), scale * (region.left - left + region.width))

        # Photos run one after the other, so each gets the result that it gets alone.
        restored = []
        with autocast(engine.device, precision):
            for number in range(len(lq)):
                result = engine.network(lq[number : number + 1].to(engine.device))
                restored.append(result[..., rows, columns].float().cpu())
                on_progress((number + 1) / len(lq))
        write(0, torch.cat(restored))


def _widened(start: int, length: int, reach: int, step: int, side: int) -> tuple[int, int]:
    """Start and stop of a span with ``reach`` pixels on both sides, at multiples of ``step`` and inside the photo."""
    first = max(start - reach, 0) // step * step
    return first, min(math.ceil((start + length + reach) / step) * step, side)
