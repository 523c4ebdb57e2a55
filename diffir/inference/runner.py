"""A network at work on one photo: whole or in tiles, in which precision, and what happens when that fails.

In: a ``Source`` and a prior. Out: rows of the output. Out of memory halves the tile and at last moves to the CPU;
numbers that are not finite are computed again in the next higher precision. Each such turn is a note for the user.
"""

from collections.abc import Callable
from functools import partial
from typing import Literal, TypeVar

import torch
from torch import Tensor

from diffir.errors import DiffIRError, UsageError
from diffir.inference.device import Precision, autocast, free_bytes
from diffir.inference.source import Source
from diffir.inference.tiling import blend_tiles, round_tile, split_side
from diffir.native.bindings import find_kernels
from diffir.systems.diffir import ArchSettings, DiffIR
from diffir.systems.diffir.engine.attention import RecordedStatistics, Statistics, Windows
from diffir.systems.diffir.engine.memory import SMALLEST_TILE, Plan, plan_photo
from diffir.systems.diffir.engine.native_blocks import PackedNetwork
from diffir.systems.diffir.engine.streaming import StreamedNetwork, Write

OnProgress = Callable[[float], None]
"""Takes the share of a photo that is done, above 0 and up to 1."""
Stats = Literal["tile", "global", "local"]
WHOLE = -1  # value of ``tile``: never cut
AUTO = 0  # value of ``tile``: by memory
_T = TypeVar("_T")
_HIGHER: dict[Precision, Precision] = {"fp16": "bf16", "bf16": "fp32"}


class _NotFiniteError(Exception):
    """The network gave NaN or infinity."""


class Runner:
    """A stage-2 network on its device."""

    def __init__(
        self,
        network: DiffIR,
        device: torch.device,
        precision: Precision,
        *,
        engine: str = "auto",
        tile: int,
        overlap: int,
        windows: Windows | None,
        stats: Stats,
    ) -> None:
        if tile < WHOLE:
            raise UsageError(f"tile must be {AUTO} (by memory), {WHOLE} (whole) or a number of pixels, got {tile}")
        if overlap < 0:
            raise UsageError(f"tile_overlap must be 0 or more, got {overlap}")
        if engine not in ("auto", "native", "torch"):
            raise UsageError(f"unknown engine {engine!r}; known: auto, native, torch")
        if engine == "native" and (device.type != "cpu" or find_kernels(precision) is None):
            raise UsageError(f"the compiled kernels are not here for {precision} on {device}; use engine torch")
        self.device = device
        self.precision = precision
        self._may_be_native = engine != "torch"
        self._packed: dict[Precision, PackedNetwork | None] = {}
        self.tile = tile
        self.overlap = overlap
        self.stats = stats
        self.windows = windows
        self.last_tile: int | None = None
        """Tile of the latest photo; None: it was restored whole."""
        self.notes: list[str] = []
        self._tile_after_failure: int | None = None
        self.network = network.eval().requires_grad_(False)
        self._surviving(lambda: self.network.to(self.device), self._move_to_cpu)

    @property
    def settings(self) -> ArchSettings:
        """What built the network."""
        return self.network.settings

    @property
    def engine(self) -> Literal["native", "torch"]:
        """What runs the blocks."""
        return "torch" if self._native(self.precision) is None else "native"

    def _native(self, precision: Precision) -> PackedNetwork | None:
        if not self._may_be_native or self.device.type != "cpu":
            return None
        if precision not in self._packed:
            kernels = find_kernels(precision)
            self._packed[precision] = None if kernels is None else PackedNetwork(kernels)
        return self._packed[precision]

    def condition(self, source: Source) -> Tensor:
        """What CPEN tells the denoiser of whole photos, (B, P).

        In fp32 whatever the precision: it is a few hundredths of the work, and all pixels hang on its result.
        """

        def look() -> Tensor:
            plan = self._plan(source)
            return StreamedNetwork(self.network, self.device, plan.strip_pixels).condition(source)

        return self._surviving(look, lambda: self._halve(source))

    def estimate_prior(self, source: Source, noise: Tensor) -> Tensor:
        """The prior (B, P) of whole photos from noise (B, P), in fp32."""
        condition = self.condition(source)
        return self.network.denoise_prior(noise.to(condition.device), condition)[-1]

    def restore(self, source: Source, prior: Tensor, write: Write, on_progress: OnProgress | None = None) -> None:
        """Restore whole photos; ``write`` may be given a row more than once, and the last time counts."""
        work = partial(self._restore, source, prior, write, on_progress)
        self._surviving(work, lambda: self._halve(source))

    def _restore(self, source: Source, prior: Tensor, write: Write, on_progress: OnProgress | None) -> None:
        plan, prior = self._plan(source), prior.to(self.device)
        self.last_tile = plan.tile
        progress = _Progress(on_progress)
        if plan.tile is None:
            progress.total = 1
            self._restore_region(source, prior, write, Statistics(self.windows), plan, progress)
            return
        step = self._tile_step
        rows, columns = (split_side(side, plan.tile, self.overlap, step) for side in (source.height, source.width))
        progress.total = len(rows) * len(columns)
        statistics = Statistics(self.windows)
        if self.stats == "global":
            statistics = self._recorded(source, prior, plan, progress)

        def restore_tile(row: slice, column: slice) -> Tensor:
            region = source.region(row, column)
            tile = torch.empty(len(prior), 3, *(self.settings.scale * side for side in (region.height, region.width)))

            def keep(top: int, piece: Tensor) -> None:
                tile[..., top : top + piece.shape[-2], :] = piece

            self._restore_region(region, prior, keep, statistics, plan, progress)
            return tile

        blend_tiles(restore_tile, rows, columns, self.settings.scale, write)

    def _recorded(self, source: Source, prior: Tensor, plan: Plan, progress: "_Progress") -> RecordedStatistics:
        """Statistics of the whole photo, from a first pass over tiles that do not overlap."""
        assert plan.tile is not None
        statistics = RecordedStatistics()
        rows, columns = (split_side(side, plan.tile, 0, self._tile_step) for side in (source.height, source.width))
        progress.total += len(rows) * len(columns)
        for row in rows:
            for column in columns:
                region = source.region(row.place, column.place)
                self._restore_region(region, prior, lambda top, piece: None, statistics, plan, progress)
        statistics.is_replaying = True
        return statistics

    def _restore_region(
        self, region: Source, prior: Tensor, write: Write, statistics: Statistics, plan: Plan, progress: "_Progress"
    ) -> None:
        """In the precision asked for, and where that overflows in the next higher one."""

        def write_finite(top: int, rows: Tensor) -> None:
            if not torch.isfinite(rows).all():
                raise _NotFiniteError
            write(top, rows)

        precision = self.precision
        while True:
            try:
                with autocast(self.device, precision), statistics.attempt():
                    native = self._native(precision)
                    streamed = StreamedNetwork(self.network, self.device, plan.strip_pixels, native)
                    streamed.restore(region, prior, write_finite, statistics, progress.within)
                progress.step()
                return
            except _NotFiniteError:
                if precision not in _HIGHER:
                    raise DiffIRError(
                        "the network gives NaN or infinity even in fp32: its weights are damaged"
                    ) from None
                self._note(f"{precision} overflowed, redone in {_HIGHER[precision]}")
                precision = _HIGHER[precision]

    @property
    def _tile_step(self) -> int:
        """What tiles start at multiples of: with windows, their cells must lie on one grid in all tiles."""
        return self.settings.multiple_of if self.windows is None else self.windows.cell

    def _plan(self, source: Source) -> Plan:
        height, width = source.height, source.width
        plan = plan_photo(
            self.device,
            free_bytes(self.device),
            self.settings,
            self.windows,
            height,
            width,
            batch=len(source.images),
        )
        tile = plan.tile if self.tile == AUTO else None if self.tile == WHOLE else self.tile
        tile = min((limit for limit in (tile, self._tile_after_failure) if limit is not None), default=None)
        if tile is None:
            return Plan(plan.strip_pixels, None)
        tile = round_tile(tile, self.overlap, self._tile_step)
        return Plan(min(plan.strip_pixels, tile**2), None if tile >= max(height, width) else tile)

    def _surviving(self, work: Callable[[], _T], retreat: Callable[[], None]) -> _T:
        """Do it again, in less memory, when memory runs out."""
        while True:
            try:
                return work()
            except (RuntimeError, MemoryError) as error:
                if not _is_out_of_memory(error):
                    raise
            # Outside the handler, so that the failed attempt's tensors are no longer held by its traceback.
            retreat()
            if torch.cuda.is_available():
                torch.cuda.empty_cache()

    def _halve(self, source: Source) -> None:
        side = self._plan(source).tile or max(source.height, source.width)
        smallest = max(SMALLEST_TILE, round_tile(1, self.overlap, self._tile_step))
        if self.tile == WHOLE:
            raise DiffIRError(f"out of memory on {self.device} with the whole photo; allow tiles with tile 0")
        if side > smallest:
            self._tile_after_failure = max(side // 2, smallest)
            self._note(f"out of memory on {self.device}: tiles of {self._tile_after_failure} pixels from here on")
        else:
            self._move_to_cpu(f"with tiles of {side} pixels")

    def _move_to_cpu(self, what: str = "for the network alone") -> None:
        if self.device.type == "cpu":
            raise DiffIRError(f"out of memory on {self.device} even {what}")
        self._note(f"out of memory on {self.device} even {what}: on the CPU from here on")
        self.device, self.precision, self._tile_after_failure = torch.device("cpu"), "fp32", None
        self.network.to(self.device)

    def _note(self, note: str) -> None:
        if note not in self.notes:
            self.notes.append(note)


def choose_stats(stats: str, patch: int | None) -> Stats:
    """What attention looks at: as asked, or windows as large as the patches of the training where these are known.

    Raises:
        UsageError: not a kind of statistics, or windows for weights of unknown patch size.
    """
    choices: dict[str, Stats] = {"auto": "local" if patch else "global"}
    choices |= {"tile": "tile", "global": "global", "local": "local"}
    if stats not in choices:
        raise UsageError(f"unknown stats {stats!r}; known: {', '.join(choices)}")
    if stats == "local" and not patch:
        raise UsageError("local statistics need the patch size of the training, which these weights do not tell")
    return choices[stats]


class _Progress:
    """Counts regions, and tells the share of all work that is done."""

    def __init__(self, on_progress: OnProgress | None) -> None:
        self.total = 0
        self._done = 0
        self._on_progress = on_progress

    def within(self, share: float) -> None:
        """So much of the region at hand is done."""
        if self._on_progress is not None:
            self._on_progress((self._done + share) / self.total)

    def step(self) -> None:
        """The region at hand is done."""
        self.within(1.0)
        self._done += 1


def _is_out_of_memory(error: Exception) -> bool:
    if isinstance(error, torch.OutOfMemoryError | MemoryError):
        return True
    # The CPU's allocator, MPS, and the libraries of CUDA raise a plain RuntimeError.
    words = ("out of memory", "not enough memory", "can't allocate memory", "ALLOC_FAILED", "unable to find an engine")
    return any(word in str(error) for word in words)
