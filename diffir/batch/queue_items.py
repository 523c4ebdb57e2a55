"""The items that travel through the queues of a batch run, and the reporter that sends messages to the caller.

A job becomes a ``LoadedFile`` in the reading stage and a ``RestoredFile`` in the restoring stage. Every stage reports
through a ``Reporter``: progress while it works, and one event when a job has ended.
"""

import logging
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from torch import Tensor

from diffir.batch.events import Event
from diffir.batch.jobs import Job
from diffir.errors import UsageError
from diffir.image_io import Content, Photo

_PROGRESS_INTERVAL = 0.4  # seconds between two progress messages

_logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class LoadedFile:
    """A file that was read, or a video, which is read while it is restored."""

    index: int
    """Position of the job in the list of jobs."""
    job: Job
    target: Path
    content: Content | None
    """None for a video, and once the content has been restored."""
    mask: np.ndarray | None
    """(H, W), above 0 where pixels are missing."""
    seconds: float
    """Time in seconds that reading took."""


@dataclass(frozen=True)
class RestoredFile:
    """A file that was restored and waits to be written."""

    loaded: LoadedFile
    content: Content
    prior: Tensor | None
    deviation: Photo | None
    """The map for ``Job.deviation_target``."""
    tile: int | None
    """Side of the tiles in pixels; None if the photo was restored whole."""
    notes: tuple[str, ...]
    seconds: float
    """Seconds that reading and this file's part of restoring took."""
    pixels: int
    """Number of input pixels, over all frames."""
    is_copy: bool = False
    """True if the target is to have the bytes of the source."""


@dataclass(frozen=True)
class Message:
    """Progress or final result of one job, sent from a worker thread."""

    index: int
    """Position of the job in the list of jobs."""
    fraction: float = 0
    """Fraction of the job that is done, 0 to 1."""
    event: Event | None = None
    """The result, once the job has ended."""
    usage_error: UsageError | None = None
    """An error of the call itself, which ends the whole run."""


class Reporter:
    """Sends progress and results of jobs to the caller's thread."""

    def __init__(
        self, post: Callable[[Message], None], check: Callable[[], None], on_end: Callable[[int], None] = lambda _: None
    ) -> None:
        """
        Args:
            post: sends a message, see ``Pipeline.post``.
            check: raises ``AbandonedError`` if the caller has left, see ``Pipeline.check``.
            on_end: called with the index of a job that has ended, before its event is sent.
        """
        self._on_end = on_end
        self._post = post
        self.check = check

    def event(self, index: int, event: Event) -> None:
        """Report how a job ended."""
        self._on_end(index)
        self._post(Message(index, event=event))

    def failure(self, index: int, job: Job, error: Exception) -> None:
        """Report an error of one file as a "failed" event, and a ``UsageError`` as an error of the whole run."""
        if isinstance(error, UsageError):
            self._post(Message(index, usage_error=error))
            return
        _logger.debug("%s", job.source, exc_info=error)
        self.event(index, Event.failure(job, error))

    def progress_of(self, group: Sequence[LoadedFile]) -> Callable[[float], None]:
        """A callback that reports the fraction done of all files of a group, at most every 0.4 seconds."""
        last = time.perf_counter()

        def on_progress(fraction: float) -> None:
            nonlocal last
            self.check()
            if time.perf_counter() - last < _PROGRESS_INTERVAL:
                return
            last = time.perf_counter()
            for loaded in group:
                self._post(Message(loaded.index, fraction))

        return on_progress
