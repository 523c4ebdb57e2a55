"""Settings, events and stop signal of a batch run.

In: ``Settings``, which hold for all files, and ``Stop``, which ends a run from outside. Out: an ``Event`` for each job.
"""

import threading
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from torch import Tensor

from diffir.batch.jobs import Job
from diffir.batch.own_mask import MaskKind
from diffir.errors import DiffIRError, FaultError
from diffir.faults import description, is_fault
from diffir.image_io import MAX_PIXELS

AUTO_BATCH = 0  # value of ``batch_size``: one photo at a time on the CPU, several on CUDA


@dataclass(frozen=True)
class Event:
    """The result of one job, or in a dry run ("planned") what it would be."""

    job: Job
    outcome: Literal["done", "skipped", "failed", "planned"]
    target: Path
    """The file that was written; its suffix differs from the job's if that format cannot hold the photo. A map of the
    standard deviation lies in ``job.deviation_target``."""
    seconds: float = 0
    """Seconds spent on this file: reading, its part of restoring, writing."""
    size: tuple[int, int] = (0, 0)
    """Width and height of the result in pixels."""
    pixels: int = 0
    """Number of input pixels that were restored, over all frames."""
    tile: int | None = None
    """Side of the tiles in pixels; None if the photo was restored whole."""
    losses: str = ""
    """Losses due to the format of the target, such as "alpha dropped"."""
    notes: tuple[str, ...] = ()
    """Other remarks for the user, such as a change of format or a smaller tile."""
    network: str = ""
    """Name of the network or the chain that was chosen for this photo; empty if none was, or if the user named it."""
    why: str = ""
    """Why this network, or none, was chosen; empty if the user named it."""
    error: str = ""
    """One line that says why the job failed."""
    cause: Exception | None = field(default=None, repr=False)
    """The exception of a failed job."""

    @classmethod
    def failure(cls, job: Job, error: Exception) -> "Event":
        """A failed event whose error is one line that names the file, whatever the exception says."""
        if is_fault(error):
            fault = FaultError(description(error))
            fault.__cause__ = error
            error = fault
        # Other libraries put several lines into a message, and often omit the file.
        message = " ".join(str(error).split())
        if not isinstance(error, DiffIRError):
            message = f"{type(error).__name__}: {message}" if message else type(error).__name__
        named = tuple(" ".join(str(path).split()) for path in (job.source, *job.targets, job.mask) if path is not None)
        line = message if message.startswith(named) else f"{job.source}: {message}"
        return cls(job, "failed", job.target, error=line, cause=error)


@dataclass(frozen=True)
class Settings:
    """How files are read, restored together and written."""

    quality: int = 95
    """Quality of JPEG, WebP, AVIF and videos, 1-100."""
    max_pixels: int = MAX_PIXELS
    """Photos with more pixels over all frames, and videos with larger frames, are refused."""
    strip_metadata: bool = False
    """Leave out EXIF, XMP and resolution."""
    skip_existing: bool = False
    """Skip a job whose target exists and is not empty."""
    batch_size: int = AUTO_BATCH
    """Largest number of photos or frames that are restored together."""
    outscale: float | None = None
    """Width of the result divided by that of the input, for photos; None leaves the size to the network."""
    mask_from: MaskKind | None = None
    """Use a channel of the photo as mask; None takes the mask of the job, if it has one."""
    share_prior: bool = False
    """Use the prior of the first frame for all frames of an animation or video."""
    prior: Tensor | None = None
    """(1, P), used for all photos and frames instead of the estimated priors."""


class Stop:
    """A switch by which another thread or a signal handler ends a run."""

    def __init__(self) -> None:
        self.is_requested = False
        self.writing = threading.Lock()
        """Held while a file is written. Code that acquires it and keeps it may end the process: no file is then half
        written."""

    def request(self) -> None:
        """Start no more files; files that were started are finished."""
        self.is_requested = True
