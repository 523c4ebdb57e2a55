"""Restore a video: every frame is restored, all other streams are kept, and an interrupted run can be resumed.

In: a restorer and a video file. Out: a new video file, written by ffmpeg. Restored frames are kept as PNG files in the
folder ``TARGET.parts`` beside the target, which is deleted once the target is complete. After the first frame a short
test encoding is made, so that a container that refuses a stream does so before hours of work.
"""

import hashlib
import os
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from torch import Tensor

from diffir.errors import DiffIRError, ImageError, UsageError
from diffir.image_io import MAX_PIXELS
from diffir.inference.restorer import Restorer
from diffir.video.clip import VideoClip, probe_clip, read_frames
from diffir.video.encode import Encoding, encode, plan_encoding
from diffir.video.ffmpeg import require_programs
from diffir.video.frame_folder import Fact, FrameFolder

OnFrame = Callable[[int, int], None]
_TEST_SIDE = 16  # pixels, side of the test image
# Options that may differ when a run is resumed; whether they change the frames is seen from the test image.
_MAY_CHANGE = ("device", "precision", "engine", "prior")
_SAMPLED_BYTES = 2**20  # bytes at the start and at the end of the source that identify it


@dataclass(frozen=True)
class RestoredVideo:
    """Properties of the video that ``restore_video`` has written."""

    size: tuple[int, int]
    """Width and height in pixels."""
    frames: int
    resumed: int
    """Number of frames that an earlier run had restored."""
    losses: str
    """Losses due to the container of the target, such as "subtitle (dvd_subtitle) dropped"."""


def restore_video(
    restorer: Restorer,
    source: Path,
    target: Path,
    *,
    quality: int = 95,
    max_pixels: int = MAX_PIXELS,
    share_prior: bool = False,
    prior: Tensor | None = None,
    on_frame: OnFrame | None = None,
    should_stop: Callable[[], bool] | None = None,
) -> RestoredVideo:
    """Restore a video frame by frame; the same call after an interruption restores only the missing frames.

    Args:
        quality: quality on the scale of JPEG, 1-100; it may change when a run is resumed.
        max_pixels: larger frames are refused.
        share_prior: use the prior of the first frame for all frames, which is steadier and saves work.
        prior: (1, P), used for all frames instead of estimated priors.
        on_frame: called after each frame with (number of frames done, number of all frames).
        should_stop: called after each frame; True ends the run, as KeyboardInterrupt does, and keeps the frames.

    Raises:
        UsageError: the target cannot be written, or the network needs masks.
        ImageError: the source is not a readable video, or its frames are too large.
        DiffIRError: ffmpeg is missing or fails, the disk is full, the folder for frames belongs to another run, or
            the run was stopped.
    """
    # Check everything that can be checked without decoding.
    if restorer.has_mask:
        raise UsageError(f"{restorer.name} fills holes and needs a mask; videos have none")
    if target.exists() and source.exists() and target.samefile(source):
        raise UsageError(f"{target} is the input and would be overwritten; choose another output")
    if target.is_dir():
        raise UsageError(f"{target} is a folder, and the video would be a file of that name; choose another output")
    require_programs()

    # Read the properties of the source and plan the result.
    clip = probe_clip(source)
    width, height = clip.size
    if width * height > max_pixels:
        raise ImageError(
            f"{source}: {width} x {height} is more than {max_pixels} pixels; --max_pixels raises that limit"
        )
    encoding = plan_encoding(clip, target, quality)

    # Open the folder of frames, which may hold frames of an interrupted run.
    parts = FrameFolder(target.with_name(target.name + ".parts"))
    parts.claim(_facts(restorer, clip, share_prior, prior))
    resumed = parts.count()
    encoded = parts.folder / f"encoded{target.suffix.lower()}"

    def after_frame(done: int) -> None:
        if on_frame is not None:
            on_frame(done, len(clip.stamps))
        if done < len(clip.stamps) and should_stop is not None and should_stop():
            raise DiffIRError(f"{source}: stopped before its end")

    # Restore the first frame, test the encoding, restore the other frames, encode.
    try:
        prior = _first_prior(restorer, clip) if share_prior and prior is None else prior
        if not resumed:
            _restore_frames(restorer, clip, parts, prior, after_frame, stop=1)
        _test_encoding(encoding, parts, encoded)
        _restore_frames(restorer, clip, parts, prior, after_frame)
        encode(encoding, encoded, parts.frames(len(clip.stamps)), parts.size())
        _rename(encoded, target)
    except BaseException:
        parts.leave(len(clip.stamps))
        raise
    size = parts.size()
    parts.remove()
    return RestoredVideo(size, len(clip.stamps), resumed, encoding.losses)


def _restore_frames(
    restorer: Restorer,
    clip: VideoClip,
    parts: FrameFolder,
    prior: Tensor | None,
    after_frame: Callable[[int], None],
    *,
    stop: int | None = None,
) -> None:
    """Restore the missing frames up to number ``stop``; one is written while the next is restored."""
    done, total = parts.count(), len(clip.stamps)
    stop = total if stop is None else stop
    with ThreadPoolExecutor(1) as writer, closing(read_frames(clip, done)) as frames:
        written: Future[None] | None = None
        while done < stop and (frame := next(frames, None)) is not None:
            restored = restorer.restore(frame, prior=prior)
            if written is not None:
                written.result()
            written = writer.submit(parts.write, done, restored)
            done += 1
            after_frame(done)
        if written is not None:
            written.result()
    if done < stop:
        raise DiffIRError(f"{clip.path}: only {done} of {total} frames could be decoded; is the file damaged?")


def _first_prior(restorer: Restorer, clip: VideoClip) -> Tensor:
    """Prior (1, P) of the first frame; a resumed run computes the same one again."""
    with closing(read_frames(clip)) as frames:
        return restorer.estimate_prior_of(next(frames))


def _test_encoding(encoding: Encoding, parts: FrameFolder, encoded: Path) -> None:
    """Encode the first frame with one second of the other streams, to see whether the container accepts them."""
    try:
        encode(encoding, encoded, parts.frames(1), parts.size(), seconds=1)
    except DiffIRError:
        if parts.count() == 1:
            parts.remove()
        raise


def _rename(encoded: Path, target: Path) -> None:
    with encoded.open("rb+") as file:
        os.fsync(file.fileno())  # otherwise a power cut could leave the target with half of its content
    encoded.replace(target)


def _facts(restorer: Restorer, clip: VideoClip, share_prior: bool, prior: Tensor | None) -> dict[str, Fact]:
    """All settings that decide the content of the frames, under the names that error messages show."""
    # Weights of one name may differ, so the result of a test image identifies the network and its settings.
    test_image = np.random.default_rng(0).random((_TEST_SIDE, _TEST_SIDE, 3), dtype=np.float32)
    restored = restorer.restore(test_image)[:: restorer.scale, :: restorer.scale]
    settings: dict[str, Fact] = {}
    for member in restorer.members:
        owner = "" if member is restorer else f" of {member.name}"
        settings |= {f"{name}{owner}": value for name, value in member.in_use().items() if name not in _MAY_CHANGE}
    return {
        "source": _digest(clip.path),
        "number of frames": len(clip.stamps),
        "model": restorer.name,
        "scale": restorer.scale,
        **settings,
        "share_prior": share_prior,
        "prior": "" if prior is None else hashlib.sha256(prior.cpu().float().numpy().tobytes()).hexdigest(),
        "network or setting": [round(float(value), 4) for value in restored.ravel()],
    }


def _digest(path: Path) -> str:
    """SHA-256 of the size, the first and the last megabyte of a file."""
    size = path.stat().st_size
    with path.open("rb") as file:
        head = file.read(_SAMPLED_BYTES)
        file.seek(max(size - _SAMPLED_BYTES, 0))
        return hashlib.sha256(head + file.read() + str(size).encode()).hexdigest()
