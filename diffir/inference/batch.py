"""Many photos: which files go where, decided and checked before the first is touched; then one after the other.

In: what the user named (files, folders, patterns). Out: a list of jobs, and one event per job when they run. A bad
file is an event, not the end. No file is ever written over an input.
"""

import os
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from glob import glob, has_magic
from pathlib import Path

import numpy as np
import torch.nn.functional as F
from torch import from_numpy

from diffir.errors import DiffIRError, PairingError, UsageError
from diffir.image_io import (
    IMAGE_SUFFIXES,
    WRITABLE_SUFFIXES,
    describe_losses,
    list_images,
    read_image,
    write_image,
)
from diffir.inference.restorer import OnTile, Restorer
from diffir.pixels import to_float, to_kind

_NAMES_SHOWN = 3  # file names an error lists


@dataclass(frozen=True)
class Job:
    """One photo to restore."""

    source: Path
    target: Path
    mask: Path | None = None


@dataclass(frozen=True)
class Event:
    """What became of a job: ``error`` is empty if the target was written."""

    job: Job
    seconds: float
    error: str = ""
    size: tuple[int, int] = (0, 0)
    """Width and height of what was written."""
    tile: int | None = None
    """None: restored whole."""
    losses: str = ""
    """What the target's format could not hold, such as "alpha dropped"."""


def plan_jobs(
    inputs: Sequence[str],
    output: Path,
    *,
    suffix: str = "",
    ext: str = "auto",
    recursive: bool = False,
    mask: Path | None = None,
) -> list[Job]:
    """Pair every input with its target and, for inpainting, its mask.

    Args:
        inputs: files, folders (their images, with ``recursive`` those of all folders below) or patterns.
        output: a file, if it has an image suffix, is no folder and one file is given; else a folder, in which the
            tree below an input folder is kept.
        suffix: added to the names of restored files.
        ext: ``auto`` (the input's, or png where that cannot be written) or one of png, jpg, webp, tif ...
        mask: one file for all inputs, or a folder of masks with the names of the images.
    Raises:
        UsageError: nothing to do, two inputs with one target, a target that is an input.
        PairingError: images without a mask of their name.
    """
    found = _collect(inputs, output, recursive)
    if output.suffix.lower() in IMAGE_SUFFIXES and not output.is_dir():
        jobs = [_single_job(inputs, found, output, suffix, ext)]
    else:
        jobs = [Job(source, output / below.with_name(_target_name(source, suffix, ext))) for source, below in found]
    _check_targets(jobs)
    return _with_masks(jobs, mask) if mask is not None else jobs


def run_jobs(restorer: Restorer, jobs: Sequence[Job], on_tile: OnTile | None = None) -> Iterator[Event]:
    """Restore job after job; what goes wrong with one file is told in its event.

    Raises:
        UsageError: the call itself is wrong, and so would be every job.
    """
    for job in jobs:
        start = time.perf_counter()
        try:
            event = _run(restorer, job, on_tile)
        except UsageError:
            raise
        except DiffIRError as error:
            event = Event(job, 0, error=_one_line(error, job))
        yield replace(event, seconds=time.perf_counter() - start)


def _run(restorer: Restorer, job: Job, on_tile: OnTile | None) -> Event:
    photo = read_image(job.source)
    mask = None if job.mask is None else read_image(job.mask).pixels.max(axis=2)
    pixels = restorer.restore(photo.pixels, mask, on_tile=on_tile)
    restored = replace(photo, pixels=pixels, alpha=_enlarged(photo.alpha, restorer.scale))
    write_image(job.target, restored)
    height, width = pixels.shape[:2]
    return Event(
        job,
        0,
        size=(width, height),
        tile=restorer.last_tile,
        losses=describe_losses(restored, job.target.suffix),
    )


def _enlarged(alpha: np.ndarray | None, scale: int) -> np.ndarray | None:
    """Alpha at the size of the output, bicubic; the network knows only colour."""
    if alpha is None or scale == 1:
        return alpha
    opacity = from_numpy(to_float(alpha).astype(np.float32))[None, None]
    enlarged = F.interpolate(opacity, scale_factor=scale, mode="bicubic")[0, 0].clamp(0, 1)
    return to_kind(enlarged.numpy(), alpha.dtype)


def _one_line(error: DiffIRError, job: Job) -> str:
    message = " ".join(str(error).split())
    named = (str(path) for path in (job.source, job.target, job.mask) if path is not None)
    return message if message.startswith(tuple(named)) else f"{job.source}: {message}"


def _collect(inputs: Sequence[str], output: Path, recursive: bool) -> list[tuple[Path, Path]]:
    """(file, its path below the input that named it); an input that does not exist is left to fail as a job."""
    found: dict[Path, Path] = {}
    for text in inputs:
        path = Path(text)
        if path.is_dir():
            images = list_images(path, recursive=recursive)
            if recursive and output.resolve() != path.resolve() and _is_below(output, path):
                images = [image for image in images if not _is_below(image, output)]  # results of an earlier run
            if not images:
                where = "nor in any folder below" if recursive else "(--recursive looks into the folders below)"
                raise UsageError(f"no image in {path} {where}; known suffixes: {', '.join(IMAGE_SUFFIXES)}")
            found |= {image: image.relative_to(path) for image in images}
        elif has_magic(text) and not path.exists():
            matches = [Path(match) for match in sorted(glob(text, recursive=True))]  # noqa: PTH207 - takes whole paths
            matches = [match for match in matches if match.suffix.lower() in IMAGE_SUFFIXES and match.is_file()]
            if not matches:
                raise UsageError(f"no image matches {text}")
            found |= {match: Path(match.name) for match in matches}
        else:
            found[path] = Path(path.name)
    if not found:
        raise UsageError("no input: name photos, folders or patterns")
    return list(found.items())


def _is_below(path: Path, folder: Path) -> bool:
    return path.resolve().is_relative_to(folder.resolve())


def _single_job(inputs: Sequence[str], found: list[tuple[Path, Path]], output: Path, suffix: str, ext: str) -> Job:
    if len(found) > 1 or Path(inputs[0]).is_dir():
        raise UsageError(f"{output} names one file, but the input is {len(found)} images of a list or a folder")
    if suffix or ext != "auto":
        raise UsageError(f"{output} says the name and the format already: give a folder, or no suffix and ext")
    if output.suffix.lower() not in WRITABLE_SUFFIXES:
        raise UsageError(f"cannot write {output.suffix}; can: {', '.join(WRITABLE_SUFFIXES)}")
    return Job(found[0][0], output)


def _target_name(source: Path, suffix: str, ext: str) -> str:
    ending = f".{ext}"
    if ext == "auto":
        ending = source.suffix if source.suffix.lower() in WRITABLE_SUFFIXES else ".png"
    return source.stem + suffix + ending


def _check_targets(jobs: Sequence[Job]) -> None:
    sources = {job.source.resolve() for job in jobs}
    taken: dict[str, Path] = {}
    for job in jobs:
        target = job.target.resolve()
        if target in sources:
            raise UsageError(f"{job.target} is an input and would be overwritten; choose another output or a suffix")
        other = taken.setdefault(os.path.normcase(target), job.source)
        if other != job.source:
            raise UsageError(f"{other} and {job.source} would both become {job.target}; restore them one by one")


def _with_masks(jobs: Sequence[Job], mask: Path) -> list[Job]:
    if not mask.is_dir():
        return [replace(job, mask=mask) for job in jobs]
    by_name: dict[str, Path] = {}
    for path in list_images(mask):
        other = by_name.setdefault(path.stem, path)
        if other != path:
            raise PairingError(f"two masks for one image in {mask}: {other.name} and {path.name}")
    missing = [job.source.name for job in jobs if job.source.stem not in by_name]
    if missing:
        shown = ", ".join(missing[:_NAMES_SHOWN]) + (" ..." if len(missing) > _NAMES_SHOWN else "")
        raise PairingError(f"{len(missing)} of {len(jobs)} images have no mask of their name in {mask}: {shown}")
    return [replace(job, mask=by_name[job.source.stem]) for job in jobs]
