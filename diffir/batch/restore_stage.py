"""The restoring stage of a batch: one instance per restorer turns groups of loaded files into restored files.

In: a group from the reading stage. Out: restored files for the writing stage. If a group of several photos fails, each
is tried alone, since only one of them may be the cause. A video goes from file to file here and reports its own event.
"""

import time
from collections.abc import Iterator
from dataclasses import replace
from typing import NamedTuple

from torch import Tensor

from diffir.batch.events import Event, Settings, Stop
from diffir.batch.mean_photo import restore_mean
from diffir.batch.pipeline import AbandonedError
from diffir.batch.queue_items import LoadedFile, Reporter, RestoredFile
from diffir.batch.restore_photos import RestoredContent, pixels_of, restore_animation, restore_photos
from diffir.errors import DiffIRError, UsageError
from diffir.image_io import Animation, Content, Pages, Photo
from diffir.inference.restorer import Restorer
from diffir.video.restore_video import restore_video


class _Result(NamedTuple):
    """What one file of a group became."""

    content: Content
    prior: Tensor | None
    deviation: Photo | None
    note: str
    """A remark on its seeds."""


class FileRestorer:
    """Restores groups of files with one restorer."""

    def __init__(self, restorer: Restorer, settings: Settings, stop: Stop, reporter: Reporter) -> None:
        self._restorer = restorer
        self._settings = settings
        self._stop = stop
        self._reporter = reporter

    def restore_group(self, group: list[LoadedFile]) -> Iterator[RestoredFile]:
        """Restore the files of a group together; failures are reported as events."""
        restorer, start = self._restorer, time.perf_counter()
        try:
            if group[0].content is None:
                self._restore_video(group[0])
                return
            results = self._restore(group)
        except AbandonedError:
            raise
        except Exception as error:  # noqa: BLE001 - it is reported, and the other files go on
            # Report the error of a single file; try the files of a larger group one by one.
            restorer.take_notes()
            if len(group) == 1 or isinstance(error, UsageError):
                self._reporter.failure(group[0].index, group[0].job, error)
                return
            for loaded in group:
                yield from self.restore_group([loaded])
            return

        # Collect what the user should know, then pass each file on without its input, which would only fill memory.
        notes = tuple(restorer.take_notes())
        if any(0 < member.options.tile < (member.last_tile or 0) for member in restorer.members):
            notes += (f"tile rounded up from {restorer.options.tile}",)
        share = (time.perf_counter() - start) / len(group)
        for loaded, (content, prior, deviation, note) in zip(group, results, strict=True):
            assert loaded.content is not None
            pixels = pixels_of(loaded.content)
            without_input, seconds = replace(loaded, content=None, mask=None), loaded.seconds + share
            remarks = (note, *notes) if note else notes
            yield RestoredFile(
                without_input,
                content,
                prior,
                deviation,
                restorer.last_tile,
                remarks,
                seconds,
                pixels,
                is_copy=self._keeps_bytes(loaded),
            )

    def _keeps_bytes(self, loaded: LoadedFile) -> bool:
        """True if no network and no setting changes a file, so that encoding it again would only lose."""
        settings = self._settings
        is_same_format = loaded.target.suffix.lower() == loaded.job.source.suffix.lower()
        is_changed = settings.strip_metadata or settings.outscale not in (None, 1) or loaded.mask is not None
        return not self._restorer.members and is_same_format and not is_changed

    def _restore(self, group: list[LoadedFile]) -> list["_Result"]:
        """Restore the files of a group, which have the same seeds."""
        first = group[0]
        seeds = [self._restorer.options.seed + step for step in first.job.seed_steps]
        if len(seeds) == 1:
            note = f"seed {seeds[0]}" if seeds[0] != self._restorer.options.seed else ""
            return [_Result(*result, None, note) for result in self._restore_once(group, seeds[0])]
        assert isinstance(first.content, Photo)
        on_progress = self._reporter.progress_of(group)
        mean, deviation, note = restore_mean(
            self._restorer, first.content, first.mask, self._settings, seeds, on_progress=on_progress
        )
        return [_Result(mean, None, deviation, note)]

    def _restore_once(self, group: list[LoadedFile], seed: int) -> list[RestoredContent]:
        first, restorer = group[0], self._restorer.with_seed(seed)
        keep_prior = first.job.prior_target is not None
        on_progress = self._reporter.progress_of(group)
        if isinstance(first.content, Animation | Pages):
            animation = restore_animation(
                restorer,
                first.content,
                first.mask,
                self._settings,
                keep_prior=keep_prior,
                on_progress=on_progress,
            )
            return [animation]
        photos = [loaded.content for loaded in group if isinstance(loaded.content, Photo)]
        return restore_photos(
            restorer, photos, first.mask, self._settings, keep_prior=keep_prior, on_progress=on_progress
        )

    def _restore_video(self, loaded: LoadedFile) -> None:
        """Restore a video from file to file; if it is interrupted, the frames that are done are kept."""
        start, job = time.perf_counter(), loaded.job
        restorer = self._restorer.with_seed(self._restorer.options.seed + job.seed_steps[0])
        on_progress = self._reporter.progress_of([loaded])
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
        except UsageError as error:  # the settings do not suit this video; they may suit the other files
            raise DiffIRError(str(error)) from error
        # Report the result; restored pixels exclude the frames of an earlier run.
        notes = [f"{video.resumed} of {video.frames} frames are from an earlier run"] if video.resumed else []
        event = Event(
            job,
            "done",
            loaded.target,
            seconds=time.perf_counter() - start,
            size=video.size,
            pixels=video.size[0] * video.size[1] // restorer.scale**2 * (video.frames - video.resumed),
            tile=restorer.last_tile,
            losses=video.losses,
            notes=(*notes, *restorer.take_notes()),
        )
        self._reporter.event(loaded.index, event)
