"""The reading stage of a batch: each job becomes a loaded file, and similar photos become groups.

In: jobs. Out: lists of loaded files to restore together. Photos of one size and kind that follow each other form a
group; a video, an animation or a photo with a mask is a group of its own. Jobs that fail or are skipped are reported
here and go no further.
"""

import time
from collections.abc import Iterator, Sequence
from pathlib import Path

from diffir.batch.claims import Claims
from diffir.batch.events import Event, Settings, Stop
from diffir.batch.jobs import Job, check_kind, final_target, is_complete
from diffir.batch.own_mask import take_mask
from diffir.batch.pipeline import AbandonedError
from diffir.batch.queue_items import LoadedFile, Reporter
from diffir.batch.restore_photos import are_alike, pixels_of
from diffir.errors import ImageError
from diffir.image_io import Photo, read_file, read_image


class FileReader:
    """Reads the files of all jobs in their order."""

    def __init__(
        self,
        jobs: Sequence[Job],
        settings: Settings,
        stop: Stop,
        reporter: Reporter,
        claims: Claims,
        *,
        scale: float,
        group_pixels: int,
    ) -> None:
        """
        Args:
            settings: its ``batch_size`` is the largest number of photos in a group.
            scale: width of the output divided by width of the input; formats limit the size of a result.
            group_pixels: largest number of pixels of a group of several photos; 0: no limit.
        """
        self._jobs = jobs
        self._settings = settings
        self._stop = stop
        self._reporter = reporter
        self._claims = claims
        self._scale = scale
        self._group_pixels = group_pixels

    def groups(self) -> Iterator[list[LoadedFile]]:
        """Loaded files in the order of the jobs, each list to be restored together."""
        group: list[LoadedFile] = []
        for loaded in self._read_all():
            if group and not self._fits(group, loaded):
                yield group
                group = []
            group.append(loaded)
            if len(group) == self._settings.batch_size:
                yield group
                group = []
        if group:
            yield group

    def _fits(self, group: list[LoadedFile], loaded: LoadedFile) -> bool:
        first, content = group[0].content, loaded.content
        if not isinstance(first, Photo) or not isinstance(content, Photo) or loaded.mask is not None:
            return False
        if len(loaded.job.seed_steps) > 1 or loaded.job.seed_steps != group[0].job.seed_steps:
            return False
        is_small = not self._group_pixels or (len(group) + 1) * pixels_of(content) <= self._group_pixels
        return is_small and are_alike(first, content)

    def _read_all(self) -> Iterator[LoadedFile]:
        for index, job in enumerate(self._jobs):
            if self._stop.is_requested:
                return
            try:
                loaded = self._read(index, job)
            except AbandonedError:
                return
            except Exception as error:  # noqa: BLE001 - it is reported, and the other files go on
                self._reporter.failure(index, job, error)
            else:
                if loaded is not None:
                    yield loaded

    def _read(self, index: int, job: Job) -> LoadedFile | None:
        """The loaded file; None if the job was skipped."""
        start = time.perf_counter()
        self._reporter.check()
        if job.refusal:
            raise ImageError(job.refusal)

        # Skip the job if its planned target exists, before anything is decoded.
        if self._skip_if_done(index, job, job.target):
            return None
        if job.is_video:
            if not self._claim(index, job, job.target):
                return None
            return LoadedFile(index, job, job.target, None, None, 0)

        # Read the photo. Only now is the format of its result known, which may change the name of the target.
        content = read_file(job.source, max_pixels=self._settings.max_pixels)
        check_kind(job, content)
        target = final_target(job, content, self._scale)
        if (target != job.target and self._skip_if_done(index, job, target)) or not self._claim(index, job, target):
            return None

        # Read the mask, or take it from the photo.
        mask = None
        if self._settings.mask_from is not None:
            if not isinstance(content, Photo):
                raise ImageError("animations and pages need a mask file, since masks of their frames may differ")
            content, mask = take_mask(content, self._settings.mask_from)
        if job.mask is not None:
            mask = read_image(job.mask, max_pixels=self._settings.max_pixels).pixels.max(axis=2)
        return LoadedFile(index, job, target, content, mask, time.perf_counter() - start)

    def _skip_if_done(self, index: int, job: Job, target: Path) -> bool:
        """Post a "skipped" event if the target exists and existing results are to be skipped; True if posted.

        A result that another process has written since the run began is skipped in any case.
        """
        is_done = self._settings.skip_existing and is_complete(job, target)
        if is_done:
            self._reporter.event(index, Event(job, "skipped", target))
        elif self._claims.is_new(target):
            self._reporter.event(index, Event(job, "skipped", target, notes=("another process has written it",)))
            return True
        return is_done

    def _claim(self, index: int, job: Job, target: Path) -> bool:
        """Claim the target; if another process restores it or has done so, post a "skipped" event and return False."""
        if not self._claims.take(index, target):
            self._reporter.event(index, Event(job, "skipped", target, notes=("another process restores it",)))
            return False
        return not self._skip_if_done(index, job, target)
