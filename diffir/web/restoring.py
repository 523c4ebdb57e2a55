"""Restore the photos of a visitor as ``diffir restore`` does, with progress, time left, and an end on demand.

In: a restorer, photos and what the visitor chose. Out: the true files with depth, alpha, profile and metadata, a view
of each for the browser, and all of them as a zip.
"""

import time
import zipfile
from collections.abc import Callable, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from torch import Tensor

from diffir.batch.batch import run_jobs
from diffir.batch.events import Event, Settings
from diffir.batch.jobs import Job, plan_jobs
from diffir.batch.mean_photo import mean_of
from diffir.errors import DiffIRError, UsageError
from diffir.image_io import Photo, read_image, write_image
from diffir.inference.prior_file import load_prior
from diffir.inference.samples import seeds_of
from diffir.photo_restorer import Restorer
from diffir.web.views import write_view
from diffir.web.visitors import Outcome, ResultFile, VisitorPhoto, without_path

_FILLED = {"alpha": "its transparent parts were filled", "infrared": "what its infrared channel shows was filled"}
OnShare = Callable[[float], None]
"""Receives the share of the work that is done, 0 to 1; what it raises ends the work."""


class Stopped(Exception):
    """Raised by a callback when the visitor asks for an end or has left."""


@dataclass(frozen=True)
class Order:
    """What a visitor chose for all photos."""

    network: str
    options: Mapping[str, Any] = field(default_factory=dict)
    """Restore options by name, those that were changed."""
    samples: int = 1
    """Number of results of each photo; from 2 also their mean and the map of their standard deviation are made."""
    ext: str = "auto"
    """Format of the results as ``diffir restore --ext`` takes it."""
    prior: Path | None = None
    """File with a prior that is used instead of those of the photos."""
    save_prior: bool = False
    """Also save the prior of each photo."""


def restore_photo(
    restorer: Restorer, photo: VisitorPhoto, order: Order, *, max_pixels: int, on_share: OnShare | None = None
) -> Outcome:
    """Restore one photo into its folder.

    Args:
        max_pixels: largest number of pixels of the result.
    Returns:
        The files that were made, or one sentence that says why there are none.
    Raises:
        Stopped: by ``on_share``.
    """
    folder = photo.folder / "results" / f"{time.monotonic_ns():x}"
    try:
        seeds = seeds_of(restorer, order.samples)
        own = photo.own_mask if restorer.has_mask and photo.mask is None else None
        largest = max(max_pixels // restorer.scale**2, 1)
        settings = Settings(max_pixels=largest, prior=_prior(restorer, order), mask_from=own)
        jobs = _jobs(photo, order, folder, has_mask=restorer.has_mask)
        files: list[ResultFile] = []
        notes = [_FILLED[own]] if own is not None else []
        for event in _events(restorer, jobs, settings, on_share):
            if event.outcome != "done":
                return Outcome(error=without_path(event.error, photo.path))
            number = len(files) + 1
            files.append(_shown(f"sample {number}" if order.samples > 1 else "", event.target, folder, max_pixels))
            notes += [note for note in (event.losses, *event.notes) if note and not note.startswith("seed ")]
        if order.samples > 1:
            compared, summary = _compared(restorer, files, photo, seeds, max_pixels)
            files, notes = [*compared, *files], [*notes, summary]
        files += [ResultFile("prior", job.prior_target, None) for job in jobs if job.prior_target is not None]
    except DiffIRError as error:
        return Outcome(error=f"{photo.name}: {without_path(str(error), photo.path)}")
    return Outcome(tuple(files), "; ".join(dict.fromkeys(notes)))


def _jobs(photo: VisitorPhoto, order: Order, folder: Path, *, has_mask: bool) -> list[Job]:
    return plan_jobs(
        [str(photo.path)],
        f"{folder}/",
        ext=order.ext,
        mask=photo.mask if has_mask else None,
        save_prior=folder if order.save_prior else None,
        samples=order.samples,
    )


def _events(restorer: Restorer, jobs: Sequence[Job], settings: Settings, on_share: OnShare | None) -> list[Event]:
    """Run the jobs, and report the share of all of them that is done."""
    numbers = {job.target: number for number, job in enumerate(jobs)}

    def report(job: Job, share: float) -> None:
        if on_share is not None:
            on_share((numbers[job.target] + share) / len(jobs))

    with closing(run_jobs(restorer, jobs, settings, on_progress=report)) as events:
        return list(events)


def _prior(restorer: Restorer, order: Order) -> Tensor | None:
    if order.prior is None:
        return None
    prior, name = load_prior(order.prior)
    if name != restorer.name:
        raise UsageError(f"{order.prior.name} is a prior of {name}, which {restorer.name} cannot use")
    return prior


def _shown(label: str, path: Path, folder: Path, max_pixels: int) -> ResultFile:
    """A result with its view; a PNG is its own view, since browsers show it as it is."""
    if path.suffix.lower() == ".png":
        return ResultFile(label, path, path)
    view = folder / "views" / f"{path.stem}.png"
    write_view(path, view, max_pixels=max_pixels)
    return ResultFile(label, path, view)


def _compared(
    restorer: Restorer, files: Sequence[ResultFile], photo: VisitorPhoto, seeds: Sequence[int], max_pixels: int
) -> tuple[list[ResultFile], str]:
    """The mean of several results and the map of their standard deviation, named as the command names them."""
    results: list[Photo] = [read_image(file.path, max_pixels=max_pixels) for file in files]
    mean, deviation, summary = mean_of(results, restorer.name, seeds)
    folder, suffix = files[0].path.parent, files[0].path.suffix
    mean_path, map_path = folder / f"{photo.path.stem}{suffix}", folder / f"{photo.path.stem}_std.png"
    write_image(mean_path, mean)
    write_image(map_path, deviation)
    return [_shown("mean", mean_path, folder, max_pixels), _shown("uncertainty", map_path, folder, max_pixels)], summary


class Pace:
    """The time that is left, from the share of the work that was done so far."""

    def __init__(self, sizes: Sequence[int]) -> None:
        """
        Args:
            sizes: number of pixels of each photo, in the order of the work.
        """
        self._sizes = sizes
        self._start = time.monotonic()

    def share(self, number: int, share: float) -> float:
        """The share of all the work when this share of photo ``number`` is done."""
        return (sum(self._sizes[:number]) + share * self._sizes[number]) / max(sum(self._sizes), 1)

    def left(self, share: float) -> str:
        """The time left in words, such as "about 12 s left"; empty until that can be told."""
        seconds = time.monotonic() - self._start
        if share <= 0 or seconds < 1:
            return ""
        left = seconds * (1 - share) / share
        return f"about {left:.0f} s left" if left < 100 else f"about {left / 60:.0f} min left"


def write_zip(photos: Sequence[VisitorPhoto], target: Path) -> Path:
    """Write all results into a zip without compression, since images are compressed; equal names get a number."""
    target.parent.mkdir(parents=True, exist_ok=True)
    taken: set[str] = set()
    with zipfile.ZipFile(target, "w", zipfile.ZIP_STORED) as archive:
        for photo in photos:
            for file in photo.outcome.files if photo.outcome is not None else ():
                name, number = file.path.name, 1
                while name.lower() in taken:
                    number += 1
                    name = f"{file.path.stem}_{number}{file.path.suffix}"
                taken.add(name.lower())
                archive.write(file.path, name)
    return target
