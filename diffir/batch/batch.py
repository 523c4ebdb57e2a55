"""Many files through one or several restorers: read ahead, restored, written behind; an event per job, in their order.

A bad file is an event, not the end: whatever goes wrong with it, the rest goes on. Only a call that is wrong for every
file (``UsageError``) and an interrupt end a run. Photos of one size and kind that follow each other are restored
together. In: jobs. Out: files, which appear whole or not at all, and events.
"""

import logging
import time
from collections.abc import Callable, Generator, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

import numpy as np
from torch import Tensor

from diffir.batch.events import AUTO_BATCH, Event, Settings, Stop
from diffir.batch.jobs import Job, final_target
from diffir.batch.photos import (
    Restored,
    Wishes,
    are_alike,
    pixels_of,
    restore_animation,
    restore_photos,
    size_of,
    stripped,
)
from diffir.batch.pipeline import AbandonedError, Overlap
from diffir.errors import DiffIRError, ImageError, UsageError
from diffir.image_io import Animation, Photo, describe_losses, read_file, read_image, write_image
from diffir.inference.restorer import Restorer
from diffir.systems.diffir.prior_file import save_prior
from diffir.video.restore import restore_video

_CUDA_BATCH = 4  # photos; a guess that was not measured
_AUTO_BATCH_PIXELS = 4_000_000  # of all photos of an automatic batch, as one large photo fills a card; not measured
_PROGRESS_INTERVAL = 0.4  # seconds

_logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class _Loaded:
    """A file that was read, or a video, which is read while it is restored."""

    index: int
    job: Job
    target: Path
    content: Photo | Animation | None
    """None: a video."""
    mask: np.ndarray | None
    seconds: float


@dataclass(frozen=True)
class _Finished:
    """A file that was restored and waits to be written."""

    loaded: _Loaded
    content: Photo | Animation
    prior: Tensor | None
    tile: int | None
    notes: tuple[str, ...]
    seconds: float


@dataclass(frozen=True)
class _Message:
    """From the threads: how far a job is, or what became of it."""

    index: int
    share: float = 0
    event: Event | None = None
    wrong_usage: UsageError | None = None


def run_jobs(
    restorers: Restorer | Sequence[Restorer],
    jobs: Sequence[Job],
    settings: Settings | None = None,
    *,
    on_progress: Callable[[Job, float], None] | None = None,
    stop: Stop | None = None,
) -> Generator[Event, None, None]:
    """Restore all jobs, and tell of each what became of it, in their order.

    Args:
        restorers: one, or several with the same network on different devices, which share the work.
        on_progress: called in the caller's thread, a few times a second, with a job in hand and its share done.
        stop: when requested, files in hand are finished and the rest gets no event.
    Raises:
        UsageError: the call itself is wrong, and so would be every job.
    """
    restorers = [restorers] if isinstance(restorers, Restorer) else list(restorers)
    run = _Run(restorers, jobs, settings or Settings(), stop or Stop())
    early: dict[int, Event] = {}  # of jobs whose turn to be told has not come
    following = 0
    with run.overlap as overlap:
        for message in overlap:
            if message.wrong_usage is not None:
                raise message.wrong_usage
            if message.event is None:
                if on_progress is not None:
                    on_progress(jobs[message.index], message.share)
                continue
            early[message.index] = message.event
            while following in early:
                yield early.pop(following)
                following += 1
    yield from (early[index] for index in sorted(early))  # after a stop there are gaps


class _Run:
    """The stages of one call of ``run_jobs``."""

    def __init__(self, restorers: Sequence[Restorer], jobs: Sequence[Job], settings: Settings, stop: Stop) -> None:
        self._jobs = jobs
        self._settings = settings
        self._stop = stop
        self._name = restorers[0].name
        self._scale = restorers[0].scale
        is_auto = settings.batch_size == AUTO_BATCH
        auto = _CUDA_BATCH if restorers[0].device.type == "cuda" else 1
        self._batch_size = auto if is_auto else settings.batch_size
        self._batch_pixels = _AUTO_BATCH_PIXELS if is_auto else None
        works = [partial(self._restore_group, restorer) for restorer in restorers]
        self.overlap: Overlap[list[_Loaded], _Finished, _Message] = Overlap(
            self._read_groups(), works, self._write, lambda: stop.is_requested
        )

    def _read_groups(self) -> Iterator[list[_Loaded]]:
        group: list[_Loaded] = []
        for loaded in self._read_all():
            if group and not self._fits(group, loaded):
                yield group
                group = []
            group.append(loaded)
            if len(group) == self._batch_size:
                yield group
                group = []
        if group:
            yield group

    def _fits(self, group: list[_Loaded], loaded: _Loaded) -> bool:
        first, content = group[0].content, loaded.content
        if not isinstance(first, Photo) or not isinstance(content, Photo) or loaded.mask is not None:
            return False
        is_small = self._batch_pixels is None or (len(group) + 1) * pixels_of(content) <= self._batch_pixels
        return is_small and are_alike(first, content)

    def _read_all(self) -> Iterator[_Loaded]:
        for index, job in enumerate(self._jobs):
            if self._stop.is_requested:
                return
            try:
                loaded = self._read(index, job)
            except AbandonedError:
                return
            except Exception as error:  # noqa: BLE001 - it is told, and the rest goes on
                self._tell_failure(index, job, error)
            else:
                if loaded is not None:
                    yield loaded

    def _read(self, index: int, job: Job) -> _Loaded | None:
        """None: nothing is left to do."""
        start = time.perf_counter()
        self.overlap.check()
        if job.refusal:
            raise ImageError(job.refusal)
        if self._is_done(index, job, job.target):
            return None
        if job.is_video:
            return _Loaded(index, job, job.target, None, None, 0)
        content = read_file(job.source, max_pixels=self._settings.max_pixels)
        target = final_target(job, content, self._scale)
        if target != job.target and self._is_done(index, job, target):
            return None
        mask = None
        if job.mask is not None:
            mask = read_image(job.mask, max_pixels=self._settings.max_pixels).pixels.max(axis=2)
        return _Loaded(index, job, target, content, mask, time.perf_counter() - start)

    def _is_done(self, index: int, job: Job, target: Path) -> bool:
        """And if so, it is told."""
        is_done = self._settings.skip_existing and target.is_file() and target.stat().st_size > 0
        if is_done:
            self.overlap.post(_Message(index, event=Event(job, "skipped", target)))
        return is_done

    def _restore_group(self, restorer: Restorer, group: list[_Loaded]) -> Iterator[_Finished]:
        start = time.perf_counter()
        try:
            if group[0].content is None:
                self._restore_video(restorer, group[0])
                return
            results = self._restore(restorer, group)
        except AbandonedError:
            raise
        except Exception as error:  # noqa: BLE001 - it is told, and the rest goes on
            restorer.take_notes()
            if len(group) == 1 or isinstance(error, UsageError):
                self._tell_failure(group[0].index, group[0].job, error)
                return
            for loaded in group:  # one of them may be at fault
                yield from self._restore_group(restorer, [loaded])
            return
        notes = tuple(restorer.take_notes())
        if 0 < restorer.tile < (restorer.last_tile or 0):
            notes += (f"tile rounded up from {restorer.tile}",)
        seconds = (time.perf_counter() - start) / len(group)
        for loaded, (content, prior) in zip(group, results, strict=True):
            place = replace(loaded, content=None, mask=None)  # the input is not to be kept until the result is written
            yield _Finished(place, content, prior, restorer.last_tile, notes, loaded.seconds + seconds)

    def _restore(self, restorer: Restorer, group: list[_Loaded]) -> list[Restored]:
        first = group[0]
        wishes = Wishes(
            prior=self._settings.prior,
            share_prior=self._settings.share_prior,
            keep_prior=first.job.prior_target is not None,
            batch_size=self._batch_size,
        )
        on_progress = self._progress_of(group)
        if isinstance(first.content, Animation):
            return [restore_animation(restorer, first.content, first.mask, wishes, on_progress)]
        photos = [loaded.content for loaded in group if isinstance(loaded.content, Photo)]
        return restore_photos(restorer, photos, first.mask, wishes, on_progress)

    def _restore_video(self, restorer: Restorer, loaded: _Loaded) -> None:
        """From file to file; what stops it keeps the frames that are done."""
        start, job = time.perf_counter(), loaded.job
        on_progress = self._progress_of([loaded])
        try:
            video = restore_video(
                restorer,
                job.source,
                loaded.target,
                quality=self._settings.quality,
                max_pixels=self._settings.max_pixels,
                share_prior=self._settings.share_prior,
                prior=self._settings.prior,
                on_frame=lambda done, total: on_progress(done / total),
                should_stop=lambda: self._stop.is_requested,
            )
        except UsageError as error:  # wrong for this video, not for the rest
            raise DiffIRError(str(error)) from error
        notes = [f"{video.resumed} of {video.frames} frames were there"] if video.resumed else []
        event = Event(
            job,
            "done",
            loaded.target,
            seconds=time.perf_counter() - start,
            size=video.size,
            pixels=video.size[0] * video.size[1] // self._scale**2 * (video.frames - video.resumed),
            tile=restorer.last_tile,
            losses=video.losses,
            notes=(*notes, *restorer.take_notes()),
        )
        self.overlap.post(_Message(loaded.index, event=event))

    def _progress_of(self, group: list[_Loaded]) -> Callable[[float], None]:
        last = time.perf_counter()

        def on_progress(share: float) -> None:
            nonlocal last
            self.overlap.check()
            if time.perf_counter() - last < _PROGRESS_INTERVAL:
                return
            last = time.perf_counter()
            for loaded in group:
                self.overlap.post(_Message(loaded.index, share))

        return on_progress

    def _write(self, finished: _Finished) -> None:
        start = time.perf_counter()
        loaded, job = finished.loaded, finished.loaded.job
        content = stripped(finished.content) if self._settings.strip_metadata else finished.content
        try:
            with self._stop.writing:
                write_image(loaded.target, content, quality=self._settings.quality)
                if job.prior_target is not None and finished.prior is not None:
                    save_prior(job.prior_target, finished.prior, self._name)
        except Exception as error:  # noqa: BLE001 - it is told, and the rest goes on
            self._tell_failure(loaded.index, job, error)
            return
        event = Event(
            job,
            "done",
            loaded.target,
            seconds=finished.seconds + time.perf_counter() - start,
            size=size_of(content),
            pixels=pixels_of(finished.content) // self._scale**2,
            tile=finished.tile,
            losses=describe_losses(content, loaded.target.suffix),
            notes=(*_notes_on_format(finished), *finished.notes),
        )
        self.overlap.post(_Message(loaded.index, event=event))

    def _tell_failure(self, index: int, job: Job, error: Exception) -> None:
        if isinstance(error, UsageError):
            self.overlap.post(_Message(index, wrong_usage=error))
            return
        _logger.debug("%s", job.source, exc_info=error)
        self.overlap.post(_Message(index, event=Event.failure(job, error)))


def _notes_on_format(finished: _Finished) -> list[str]:
    first = finished.content if isinstance(finished.content, Photo) else finished.content.frames[0]
    notes = [first.note] if first.note else []
    job, written = finished.loaded.job, finished.loaded.target.suffix
    if job.spare is not None and written.lower() != job.source.suffix.lower():
        notes.append(f"{job.source.suffix[1:]} became {written[1:]}")
    return notes
