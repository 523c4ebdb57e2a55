"""A video: every frame restored, everything else kept, and a run that was stopped goes on where it was.

In: a restorer, a video file. Out: another one, by ffmpeg. Restored frames are kept as PNG files in a folder beside
the target, ``TARGET.parts``, which goes when the target is there. After the first frame the end is rehearsed: a
container that refuses some stream refuses before the hours, not after.
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
from diffir.video.clip import Clip, probe_clip, read_frames
from diffir.video.encode import Encoding, encode, plan_encoding
from diffir.video.ffmpeg import require_programs
from diffir.video.frame_folder import Fact, FrameFolder

OnFrame = Callable[[int, int], None]
_CARD_SIDE = 16  # pixels of the test card
_SAMPLED_BYTES = 2**20  # of the source's head and of its tail, by which it is known again


@dataclass(frozen=True)
class RestoredVideo:
    """What was written."""

    size: tuple[int, int]
    """Width and height."""
    frames: int
    resumed: int
    """How many of the frames an earlier run had restored."""
    losses: str
    """What the target's container could not hold, such as "subtitle (dvd_subtitle) dropped"."""


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
    """Restore frame by frame; the same call after a stop goes on with the frames that are missing.

    Args:
        quality: 1-100, as of JPEG; may differ when a run goes on.
        max_pixels: larger frames are refused.
        share_prior: one prior, that of the first frame, for all: steadier, and less work.
        prior: (1, P), for all frames.
        on_frame: called after each frame with (frames done, frames in all).
        should_stop: asked after each frame; yes ends the run, as KeyboardInterrupt does, and frames are kept.
    Raises:
        UsageError: a target that cannot be written, a network that needs masks.
        ImageError: the source is no video that can be read, or its frames are too large.
        DiffIRError: ffmpeg is missing or fails, the disk is full, frames of another run are in the way, or the run
            was stopped.
    """
    if restorer.has_mask:
        raise UsageError(f"{restorer.name} fills holes and needs a mask; videos have none")
    if target.exists() and source.exists() and target.samefile(source):
        raise UsageError(f"{target} is the input and would be overwritten; choose another output")
    if target.is_dir():
        raise UsageError(f"{target} is a folder, and the video would be a file of that name; choose another output")
    require_programs()
    clip = probe_clip(source)
    width, height = clip.size
    if width * height > max_pixels:
        raise ImageError(
            f"{source}: {width} x {height} is more than {max_pixels} pixels; --max_pixels raises that limit"
        )
    encoding = plan_encoding(clip, target, quality)
    parts = FrameFolder(target.with_name(target.name + ".parts"))
    parts.claim(_facts(restorer, clip, share_prior, prior))
    resumed = parts.count()
    encoded = parts.folder / f"encoded{target.suffix.lower()}"

    def tell(done: int) -> None:
        if on_frame is not None:
            on_frame(done, len(clip.stamps))
        if done < len(clip.stamps) and should_stop is not None and should_stop():
            raise DiffIRError(f"{source}: stopped before its end")

    try:
        prior = _first_prior(restorer, clip) if share_prior and prior is None else prior
        if not resumed:
            _restore_frames(restorer, clip, parts, prior, tell, stop=1)
        _rehearse(encoding, parts, encoded)
        _restore_frames(restorer, clip, parts, prior, tell)
        encode(encoding, encoded, parts.frames(len(clip.stamps)), parts.size())
        _take_name(encoded, target)
    except BaseException:
        parts.leave(len(clip.stamps))
        raise
    size = parts.size()
    parts.remove()
    return RestoredVideo(size, len(clip.stamps), resumed, encoding.losses)


def _restore_frames(
    restorer: Restorer,
    clip: Clip,
    parts: FrameFolder,
    prior: Tensor | None,
    tell: Callable[[int], None],
    *,
    stop: int | None = None,
) -> None:
    """All frames that are missing, up to number ``stop``; one is written while the next is restored."""
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
            tell(done)
        if written is not None:
            written.result()
    if done < stop:
        raise DiffIRError(f"{clip.path}: only {done} of {total} frames could be decoded; is the file damaged?")


def _first_prior(restorer: Restorer, clip: Clip) -> Tensor:
    """The first frame's; a run that goes on finds the same again."""
    with closing(read_frames(clip)) as frames:
        return restorer.estimate_prior_of(next(frames))


def _rehearse(encoding: Encoding, parts: FrameFolder, encoded: Path) -> None:
    try:
        encode(encoding, encoded, parts.frames(1), parts.size(), seconds=1)
    except DiffIRError:
        if parts.count() == 1:
            parts.remove()
        raise


def _take_name(encoded: Path, target: Path) -> None:
    with encoded.open("rb+") as file:
        os.fsync(file.fileno())  # so that after a power cut the name never stands for half a file
    encoded.replace(target)


def _facts(restorer: Restorer, clip: Clip, share_prior: bool, prior: Tensor | None) -> dict[str, Fact]:
    """What decides the frames of a run, by the words that messages use."""
    # The network and its settings are known by what they make of a test card: a name does not tell weights apart.
    card = np.random.default_rng(0).random((_CARD_SIDE, _CARD_SIDE, 3), dtype=np.float32)
    restored = restorer.restore(card)[:: restorer.scale, :: restorer.scale]
    return {
        "source": _digest(clip.path),
        "number of frames": len(clip.stamps),
        "model": restorer.name,
        "scale": restorer.scale,
        "seed": restorer.seed,
        "tile": restorer.tile,
        "tile_overlap": restorer.tile_overlap,
        "stats": restorer.stats,
        "tta": restorer.tta,
        "strength": restorer.strength,
        "share_prior": share_prior,
        "prior": "" if prior is None else hashlib.sha256(prior.cpu().float().numpy().tobytes()).hexdigest(),
        "network or setting": [round(float(value), 4) for value in restored.ravel()],
    }


def _digest(path: Path) -> str:
    size = path.stat().st_size
    with path.open("rb") as file:
        head = file.read(_SAMPLED_BYTES)
        file.seek(max(size - _SAMPLED_BYTES, 0))
        return hashlib.sha256(head + file.read() + str(size).encode()).hexdigest()
