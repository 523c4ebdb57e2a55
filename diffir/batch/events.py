"""The words in which a batch is ordered, told and stopped.

In: ``Settings``, what the user wants of all files, and ``Stop``, which ends a run from outside. Out: an ``Event`` for
each job.
"""

import threading
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from torch import Tensor

from diffir.batch.jobs import Job
from diffir.errors import DiffIRError
from diffir.image_io import MAX_PIXELS

AUTO_BATCH = 0  # value of ``batch_size``: one on the CPU, several on CUDA


@dataclass(frozen=True)
class Event:
    """What became of a job."""

    job: Job
    outcome: Literal["done", "skipped", "failed"]
    target: Path
    """As written: another suffix than the job's where that could not hold the photo."""
    seconds: float = 0
    """Spent on this file: reading, its share of restoring, writing."""
    size: tuple[int, int] = (0, 0)
    """Width and height of what was written."""
    pixels: int = 0
    """Pixels that were restored, of the input, over all frames."""
    tile: int | None = None
    """None: restored whole."""
    losses: str = ""
    """What the target's format could not hold, such as "alpha dropped"."""
    notes: tuple[str, ...] = ()
    """What else the user should know, such as a change of format or a tile that had to shrink."""
    error: str = ""
    """One line, if it failed."""

    @classmethod
    def failure(cls, job: Job, error: Exception) -> "Event":
        """One line that names the file, whatever was raised."""
        message = " ".join(str(error).split())
        if not isinstance(error, DiffIRError):
            message = f"{type(error).__name__}: {message}" if message else type(error).__name__
        named = tuple(str(path) for path in (job.source, job.target, job.mask) if path is not None)
        line = message if message.startswith(named) else f"{job.source}: {message}"
        return cls(job, "failed", job.target, error=line)


@dataclass(frozen=True)
class Settings:
    """How files are read and written, and what is restored together."""

    quality: int = 95
    """1-100, of JPEG, WebP and AVIF."""
    max_pixels: int = MAX_PIXELS
    """Photos of more, over all frames, and videos of larger frames are refused."""
    strip_metadata: bool = False
    skip_existing: bool = False
    """A job whose target is there, and not empty, is not done again."""
    batch_size: int = AUTO_BATCH
    """Photos or frames restored together, at most."""
    share_prior: bool = False
    """The prior of the first frame for all frames of an animation."""
    prior: Tensor | None = None
    """(1, P), to be used for all instead of the estimated ones."""


class Stop:
    """How a run is ended from outside, by another thread or a signal."""

    def __init__(self) -> None:
        self.is_requested = False
        self.writing = threading.Lock()
        """Held while a file is written. Who takes it for good may end the process: no file is half written then."""

    def request(self) -> None:
        """Begin no more files; those in hand are finished."""
        self.is_requested = True
