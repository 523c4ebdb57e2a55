"""``Runner``: restores photos with an engine, whole or in tiles, and recovers from failures.

In: a ``Source``. Out: rows of the output. If memory runs out, tiles are halved and in the end the network moves to the
CPU; a region with NaN or infinite values is computed again in the next higher precision. Each such change is recorded
as a note for the user.
"""

from collections.abc import Callable
from functools import partial
from typing import TypeVar

import torch
from torch import Tensor

from diffir.errors import DiffIRError
from diffir.fork_guard import refuse_forked_process
from diffir.inference.options import AUTO, WHOLE
from diffir.inference.source import Source
from diffir.inference.tiling import SMALLEST_TILE, blend_tiles, round_tile, split_side
from diffir.system import Engine, OnProgress, Precision, Session, Write

_T = TypeVar("_T")
_HIGHER: dict[Precision, Precision] = {"fp16": "bf16", "bf16": "fp32"}


class _NotFiniteError(Exception):
    """Raised if the network outputs NaN or infinite values."""


class Runner:
    """Cuts photos into tiles if necessary, lets the engine restore them, and recovers from failures."""

    def __init__(self, engine: Engine, precision: Precision, *, tile: int, overlap: int) -> None:
        """
        Args:
            precision: the one to start with; the runner raises it where values overflow.
            tile: side in pixels of lq, ``AUTO`` or ``WHOLE``.
            overlap: pixels that neighbouring tiles share.
        """
        self.engine = engine
        self.precision = precision
        self.tile = tile
        self.overlap = max(overlap, engine.least_overlap)
        self.last_tile: int | None = None
        """Side of the tiles of the latest photo; None if it was restored whole."""
        self.notes: list[str] = []
        """Messages about changes that were necessary; the owner empties the list."""
        self._tile_after_failure: int | None = None
        refuse_forked_process(engine.device)
        self._with_less_memory(lambda: engine.to(engine.device), self._move_to_cpu)

    def estimate_prior(self, source: Source, seed: int) -> Tensor:
        """Estimate the priors (B, P) of whole photos; raises UsageError if the system has no prior."""
        refuse_forked_process(self.engine.device)

        def estimate() -> Tensor:
            return self.engine.estimate_prior(source, seed=seed, tile=self._tile(source))

        return self._with_less_memory(estimate, lambda: self._halve(source))

    def restore(
        self, source: Source, write: Write, *, seed: int, prior: Tensor | None, on_progress: OnProgress | None = None
    ) -> None:
        """Restore whole photos; ``write`` may receive a row more than once, and the last one is valid."""
        refuse_forked_process(self.engine.device)
        work = partial(self._restore, source, write, seed, prior, on_progress)
        self._with_less_memory(work, lambda: self._halve(source))

    def _restore(
        self, source: Source, write: Write, seed: int, prior: Tensor | None, on_progress: OnProgress | None
    ) -> None:
        # Restore the photo whole if it fits into memory.
        tile = self._tile(source)
        session = self.engine.open(source, seed=seed, prior=prior, tile=tile, precision=self.precision)
        self.last_tile = tile
        progress = _Progress(on_progress)
        if tile is None:
            progress.total = 1
            self._restore_region(session, source, write, progress)
            return

        # Cut the photo into tiles, and gather statistics of the whole photo if the session needs them.
        step, scale = self.engine.tile_step, self.engine.facts.scale
        sides = (source.height, source.width)
        rows, columns = (split_side(side, tile, self.overlap, step) for side in sides)
        progress.total = len(rows) * len(columns)
        if session.passes == 2:
            self._first_pass(session, source, tile, progress)

        # Restore the tiles and blend them.
        def restore_tile(row: slice, column: slice) -> Tensor:
            region = source.region(row, column)
            restored = torch.empty(source.batch, 3, scale * region.height, scale * region.width)

            def keep(top: int, piece: Tensor) -> None:
                restored[..., top : top + piece.shape[-2], :] = piece

            self._restore_region(session, region, keep, progress)
            return restored

        blend_tiles(restore_tile, rows, columns, scale, write)

    def _first_pass(self, session: Session, source: Source, tile: int, progress: "_Progress") -> None:
        """Restore tiles without overlap and discard the results, so that the session sees every pixel once."""
        step = self.engine.tile_step
        rows, columns = (split_side(side, tile, 0, step) for side in (source.height, source.width))
        progress.total += len(rows) * len(columns)
        for row in rows:
            for column in columns:
                region = source.region(row.place, column.place)
                self._restore_region(session, region, lambda top, piece: None, progress)
        session.end_first_pass()

    def _restore_region(self, session: Session, region: Source, write: Write, progress: "_Progress") -> None:
        """Restore a region in the chosen precision, and again in the next higher one if values overflow."""

        def write_finite(top: int, rows: Tensor) -> None:
            if not torch.isfinite(rows).all():
                raise _NotFiniteError
            write(top, rows)

        precision = self.precision
        while True:
            try:
                session.restore(region, write_finite, precision, progress.within)
                progress.step()
                return
            except _NotFiniteError:
                if precision not in _HIGHER:
                    raise DiffIRError(
                        "the network gives NaN or infinity even in fp32: its weights are damaged"
                    ) from None
                self._note(f"{precision} overflowed, redone in {_HIGHER[precision]}")
                precision = _HIGHER[precision]

    def _tile(self, source: Source) -> int | None:
        """Side of the tiles for a photo; None if the photo is restored whole."""
        # The smallest limit decides: the user's, that of the memory, or that of an earlier failure.
        largest = self.engine.largest_tile(source.height, source.width, source.batch) if self.tile == AUTO else None
        wanted = self.tile if self.tile > 0 else largest
        tile = min((limit for limit in (wanted, self._tile_after_failure) if limit is not None), default=None)
        if tile is None:
            return None
        tile = round_tile(tile, self.overlap, self.engine.tile_step)
        return None if tile >= max(source.height, source.width) else tile

    def _with_less_memory(self, work: Callable[[], _T], retreat: Callable[[], None]) -> _T:
        """Do the work; while memory is insufficient, call ``retreat``, which reduces the need, and try again."""
        while True:
            try:
                return work()
            except (RuntimeError, MemoryError) as error:
                if not _is_out_of_memory(error):
                    raise
            # Retreat outside the handler, because the traceback holds the tensors of the failed attempt.
            retreat()
            if torch.cuda.is_available():
                torch.cuda.empty_cache()

    def _halve(self, source: Source) -> None:
        """Halve the tiles after memory ran out; if they are the smallest possible, move the network to the CPU."""
        device = self.engine.device
        side = self._tile(source) or max(source.height, source.width)
        smallest = max(SMALLEST_TILE, round_tile(1, self.overlap, self.engine.tile_step))
        if self.tile == WHOLE:
            raise DiffIRError(f"out of memory on {device} with the whole photo; allow tiles with tile 0")
        if side > smallest:
            self._tile_after_failure = max(side // 2, smallest)
            self._note(f"out of memory on {device}: tiles of {self._tile_after_failure} pixels from here on")
        else:
            self._move_to_cpu(f"with tiles of {side} pixels")

    def _move_to_cpu(self, what: str = "for the network alone") -> None:
        device = self.engine.device
        if device.type == "cpu":
            raise DiffIRError(f"out of memory on {device} even {what}")
        self._note(f"out of memory on {device} even {what}: on the CPU from here on")
        self.precision, self._tile_after_failure = "fp32", None
        self.engine.to(torch.device("cpu"))

    def _note(self, note: str) -> None:
        if note not in self.notes:
            self.notes.append(note)


class _Progress:
    """Counts finished regions and reports the fraction of all work that is done."""

    def __init__(self, on_progress: OnProgress | None) -> None:
        self.total = 0
        self._done = 0
        self._on_progress = on_progress

    def within(self, share: float) -> None:
        """Report the fraction of the current region that is done."""
        if self._on_progress is not None:
            self._on_progress((self._done + share) / self.total)

    def step(self) -> None:
        """Count the current region as finished and report it."""
        self.within(1.0)
        self._done += 1


def _is_out_of_memory(error: Exception) -> bool:
    if isinstance(error, torch.OutOfMemoryError | MemoryError):
        return True
    # The allocator of the CPU, MPS and the CUDA libraries raise a plain RuntimeError; only its text tells the cause.
    words = ("out of memory", "not enough memory", "can't allocate memory", "ALLOC_FAILED", "unable to find an engine")
    return any(word in str(error) for word in words)
