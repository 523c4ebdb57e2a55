"""Tell what a run would write, what each format would lose, and how long it would take; nothing is written.

In: jobs, settings and a restorer. Out: one event per job. Photos are decoded, so damaged files are found. The time
follows from the speed at which the restorer restores a small picture of noise.
"""

import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import numpy as np

from diffir.batch.events import Event, Settings
from diffir.batch.jobs import Job, check_kind, enlarged, final_target, is_complete
from diffir.batch.outscale import size_at
from diffir.batch.own_mask import take_mask
from diffir.batch.restore_photos import pixels_of, size_of, stripped
from diffir.errors import ImageError
from diffir.image_io import Content, Pages, Photo, describe_losses, frames_of, read_file, read_image
from diffir.image_io.write import check_fits
from diffir.inference.restorer import Restorer
from diffir.video.clip import probe_clip
from diffir.video.encode import plan_encoding
from diffir.video.ffmpeg import require_programs

_SMALL, _LARGE = 128, 320  # pixels a side of the two pictures whose times are taken
_SLOW = 2.0  # seconds for the small picture, above which it is the only one: the large one would take a minute


def dry_run(restorer: Restorer, jobs: Sequence[Job], settings: Settings) -> Iterator[Event]:
    """Yield an event for each job as ``run_jobs`` would, with the predicted seconds."""
    speed = _Speed(restorer)
    for job in jobs:
        try:
            yield _skipped(job, settings) or _planned(restorer, speed, job, settings)
        except Exception as error:  # noqa: BLE001 - it is reported, and the other files go on
            yield Event.failure(job, error)


class _Speed:
    """The time that a restorer takes: a part for each picture, and a part for each pixel."""

    def __init__(self, restorer: Restorer) -> None:
        self._restorer = restorer
        self._parts: tuple[float, float] | None = None

    def seconds(self, pixels: int, pictures: int) -> float:
        """Seconds for so many pixels in so many pictures; the first call takes the times."""
        if self._parts is None:
            # A run restores in a thread of its own, where OpenMP waits in another way than in the main thread.
            with ThreadPoolExecutor(1) as thread:
                self._parts = thread.submit(self._measured).result()
        return self._parts[0] * pictures + self._parts[1] * pixels

    def _measured(self) -> tuple[float, float]:
        """Seconds for each picture, and for each pixel."""
        small = self._time(_SMALL)  # the first run also warms up
        if small > _SLOW:
            return 0.0, small / _SMALL**2
        small = self._time(_SMALL)
        self._time(_LARGE)  # warms up the larger size
        large = self._time(_LARGE)
        each_pixel = max(large - small, 0) / (_LARGE**2 - _SMALL**2)
        return max(small - each_pixel * _SMALL**2, 0), each_pixel

    def _time(self, side: int) -> float:
        noise = np.random.default_rng(0).integers(0, 256, (side, side, 3), dtype=np.uint8)
        mask = np.zeros((side, side), np.uint8) if self._restorer.has_mask else None
        start = time.perf_counter()
        self._restorer.restore(noise, mask)
        taken = time.perf_counter() - start
        self._restorer.take_notes()
        return taken


def _skipped(job: Job, settings: Settings) -> Event | None:
    if job.refusal:
        raise ImageError(job.refusal)
    exists = settings.skip_existing and is_complete(job, job.target)
    return Event(job, "skipped", job.target) if exists else None


def _planned(restorer: Restorer, speed: _Speed, job: Job, settings: Settings) -> Event:
    if job.is_video:
        require_programs()
        clip = probe_clip(job.source)
        width, height = (side * restorer.scale for side in clip.size)
        losses = plan_encoding(clip, job.target, settings.quality).losses
        pixels = clip.size[0] * clip.size[1] * len(clip.stamps)
        frames = len(clip.stamps)
        event = Event(job, "planned", job.target, speed.seconds(pixels, frames), (width, height), pixels)
        return replace(event, losses=losses, notes=(f"{frames} frames",))

    # Read the photo and its mask, and choose the format.
    content = read_file(job.source, max_pixels=settings.max_pixels)
    check_kind(job, content)
    scale = settings.outscale or restorer.scale
    target = final_target(job, content, scale)
    if settings.skip_existing and is_complete(job, target):
        return Event(job, "skipped", target)
    if settings.mask_from is not None and isinstance(content, Photo):
        content = take_mask(content, settings.mask_from)[0]
    if job.mask is not None:
        _check_mask(job, size_of(content))

    # Describe the result.
    written = stripped(content) if settings.strip_metadata else content
    notes = list(dict.fromkeys(frame.note for frame in frames_of(content) if frame.note))
    if isinstance(content, Pages):
        notes.append(f"{len(content.frames)} pages")
    width, height = size_of(content)
    height, width = size_at(height, width, scale)
    if target.suffix.lower() == ".gif":  # a restored picture has more colours than the palette that it was read from
        written = _with_many_colours(written)
    check_fits(target, enlarged(written, scale))
    pixels = pixels_of(content)
    seconds = len(job.seed_steps) * speed.seconds(pixels, len(frames_of(content)))
    event = Event(job, "planned", target, seconds, (width, height), pixels)
    return replace(event, losses=describe_losses(written, target.suffix), notes=tuple(notes))


def _with_many_colours(content: Content) -> Content:
    noise = np.random.default_rng(0)
    frames = [
        replace(frame, pixels=noise.integers(0, 256, frame.pixels.shape, dtype=np.uint8))
        for frame in frames_of(content)
    ]
    return frames[0] if isinstance(content, Photo) else replace(content, frames=tuple(frames))


def _check_mask(job: Job, size: tuple[int, int]) -> None:
    assert job.mask is not None
    height, width = read_image(job.mask).pixels.shape[:2]
    if (width, height) != size:
        raise ImageError(
            f"{job.source}: the mask is {width} x {height} but the image is {size[0]} x {size[1]}; both must have the "
            "same size"
        )
