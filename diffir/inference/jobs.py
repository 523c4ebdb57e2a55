"""Which files go where: decided and checked before the first is touched, and before torch is even imported.

In: what the user named (files, folders, patterns) and the output. Out: a list of jobs. No two sources write one file,
and no input is ever written over, also where the format of a result is known only once the photo has been read.
"""

import os
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from glob import glob, has_magic
from pathlib import Path

import numpy as np

from diffir.errors import PairingError, UsageError
from diffir.image_io import IMAGE_SUFFIXES, WRITABLE_SUFFIXES, Animation, Photo, kept_suffix, list_images
from diffir.inference.video_encode import VIDEO_SUFFIXES

_NAMES_SHOWN = 3  # file names an error lists
_OTHER_FORMATS = {".jfif": ".jpg"}  # what comes of photos whose format cannot be written; of all others, PNG
PRIOR_SUFFIX = ".prior.safetensors"


@dataclass(frozen=True)
class Job:
    """One file to restore."""

    source: Path
    target: Path
    mask: Path | None = None
    spare: Path | None = None
    """Where the format may change: the target without a suffix, free under every suffix. None: it must not change."""
    prior_target: Path | None = None
    """Where its prior is saved."""

    @property
    def is_video(self) -> bool:
        """By its suffix."""
        return self.source.suffix.lower() in VIDEO_SUFFIXES


def plan_jobs(
    inputs: Sequence[str],
    output: Path,
    *,
    suffix: str = "",
    ext: str = "auto",
    recursive: bool = False,
    mask: Path | None = None,
    save_prior: Path | None = None,
) -> list[Job]:
    """Pair every input with its target and, for inpainting, its mask.

    Args:
        inputs: files, folders (their images, with ``recursive`` those of all folders below) or patterns. Videos count
            only where they are named.
        output: a file, if it has the suffix of an image or a video, is no folder and one file is given; else a
            folder, in which the tree below an input folder is kept.
        suffix: added to the names of restored files.
        ext: ``auto`` (the input's, or another one where that cannot be written or hold the photo) or one of png, jpg,
            webp, tif ...; videos keep their suffix.
        mask: one file for all inputs, or a folder of masks with the names of the images.
        save_prior: a file, if one file is given and this is no folder; else a folder.
    Raises:
        UsageError: nothing to do, two inputs with one target, a target that is an input or that cannot be made.
        PairingError: images without a mask of their name.
    """
    if ext != "auto" and f".{ext}" not in WRITABLE_SUFFIXES:
        raise UsageError(f"cannot write .{ext}; can: {', '.join(WRITABLE_SUFFIXES)}")
    found = _collect(inputs, output, recursive)
    if output.suffix.lower() in (*IMAGE_SUFFIXES, *VIDEO_SUFFIXES) and not output.is_dir():
        jobs = [_single_job(inputs, found, output, suffix, ext)]
    else:
        names = _target_names(found, suffix, ext)
        jobs = [Job(source, output / name) for (source, _), name in zip(found, names, strict=True)]
    _check_targets(jobs)
    spares = _spare_names(jobs)
    if save_prior is not None:
        jobs = _with_prior_targets(jobs, spares, output, save_prior)
    if ext == "auto" and jobs[0].target != output:
        jobs = [replace(job, spare=spare) for job, spare in zip(jobs, spares, strict=True)]
    _check_writable(jobs)
    return _with_masks(jobs, mask) if mask is not None else jobs


def final_target(job: Job, content: Photo | Animation, scale: int = 1) -> Path:
    """Where the result goes, now that the input is known: formats that cannot hold it give way, if they may.

    Args:
        scale: side of the output over side of the input; formats have limits.
    """
    if job.spare is None:
        return job.target
    suffix = kept_suffix(_enlarged(content, scale), job.source.suffix)
    return job.target if suffix == job.target.suffix else job.spare.with_name(job.spare.name + suffix)


def _enlarged(content: Photo | Animation, scale: int) -> Photo | Animation:
    """A stand-in of that size that takes no memory."""
    if isinstance(content, Animation):
        frames = [_enlarged(frame, scale) for frame in content.frames]
        return replace(content, frames=tuple(frame for frame in frames if isinstance(frame, Photo)))
    height, width, channels = content.pixels.shape
    pixels = np.broadcast_to(content.pixels[:1, :1], (scale * height, scale * width, channels))
    return replace(content, pixels=pixels)


def _collect(inputs: Sequence[str], output: Path, recursive: bool) -> list[tuple[Path, Path]]:
    """(file, its path below the input that named it); an input that does not exist is left to fail as a job."""
    found: dict[str, tuple[Path, Path]] = {}  # by absolute path, so that a file named twice is one
    for text in inputs:
        path = Path(text)
        if path.is_dir():
            named = [(image, image.relative_to(path)) for image in _images_of(path, output, recursive)]
        elif has_magic(text) and not path.exists():
            named = [(match, Path(match.name)) for match in _matches_of(text)]
        else:
            named = [(path, Path(path.name))]
        found |= {os.path.abspath(source): (source, below) for source, below in named}  # noqa: PTH100 - no links
    if not found:
        raise UsageError("no input: name photos, folders or patterns")
    return list(found.values())


def _images_of(folder: Path, output: Path, recursive: bool) -> list[Path]:
    images = list_images(folder, recursive=recursive)
    if recursive and output.resolve() != folder.resolve() and _is_below(output, folder):
        images = [image for image in images if not _is_below(image, output)]  # results of an earlier run
    if not images:
        where = "nor in any folder below" if recursive else "(--recursive looks into the folders below)"
        raise UsageError(f"no image in {folder} {where}; known suffixes: {', '.join(IMAGE_SUFFIXES)}")
    return images


def _matches_of(pattern: str) -> list[Path]:
    matches = [Path(match) for match in sorted(glob(pattern, recursive=True))]  # noqa: PTH207 - takes whole paths
    known = (*IMAGE_SUFFIXES, *VIDEO_SUFFIXES)
    matches = [match for match in matches if match.suffix.lower() in known and match.is_file()]
    if not matches:
        raise UsageError(f"no image and no video matches {pattern}")
    return matches


def _is_below(path: Path, folder: Path) -> bool:
    return path.resolve().is_relative_to(folder.resolve())


def _single_job(inputs: Sequence[str], found: list[tuple[Path, Path]], output: Path, suffix: str, ext: str) -> Job:
    if len(found) > 1 or Path(inputs[0]).is_dir():
        raise UsageError(f"{output} names one file, but the input is {len(found)} images of a list or a folder")
    if suffix or ext != "auto":
        raise UsageError(f"{output} says the name and the format already: give a folder, or no suffix and ext")
    job = Job(found[0][0], output)
    writable = VIDEO_SUFFIXES if job.is_video else WRITABLE_SUFFIXES
    if output.suffix.lower() not in writable:
        kind = "video" if job.is_video else "photo"
        raise UsageError(f"cannot write a {kind} to {output.suffix}; can: {', '.join(writable)}")
    return job


def _target_names(found: list[tuple[Path, Path]], suffix: str, ext: str) -> list[Path]:
    """Below the output folder; ``a.heic`` becomes ``a.png``, or ``a.heic.png`` where there is an ``a.png``, too."""
    endings = [_ending(below.suffix, ext) for _, below in found]
    names = [below.with_name(below.stem + suffix + ending) for (_, below), ending in zip(found, endings, strict=True)]
    times = Counter(map(os.path.normcase, names))
    for number, ((_, below), ending) in enumerate(zip(found, endings, strict=True)):
        if ext == "auto" and ending != below.suffix and times[os.path.normcase(names[number])] > 1:
            names[number] = below.with_name(below.name + suffix + ending)
    return names


def _ending(suffix: str, ext: str) -> str:
    if suffix.lower() in VIDEO_SUFFIXES or (ext == "auto" and suffix.lower() in WRITABLE_SUFFIXES):
        return suffix
    return _OTHER_FORMATS.get(suffix.lower(), ".png") if ext == "auto" else f".{ext}"


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


def _spare_names(jobs: Sequence[Job]) -> list[Path]:
    """For each job a target without suffix that no other target and no input has, whatever suffix is put behind it.

    Mostly its own; ``a.jpg`` beside ``a.gif`` takes the name ``a.jpg``, so that it may become ``a.jpg.png``.
    """
    own = [os.path.normcase(job.target.with_suffix("").resolve()) for job in jobs]
    taken = Counter(own)
    for stem, job in zip(own, jobs, strict=True):
        source = os.path.normcase(job.source.resolve().with_suffix(""))
        taken[source] += source != stem
    spares = []
    for stem, job in zip(own, jobs, strict=True):
        spare = job.target.with_suffix("")
        if taken[stem] > 1:
            spare = job.target
            while taken[os.path.normcase(spare.resolve())]:
                spare = spare.with_name(spare.name + "_")
            taken[os.path.normcase(spare.resolve())] += 1
        spares.append(spare)
    return spares


def _with_prior_targets(jobs: list[Job], spares: list[Path], output: Path, save_prior: Path) -> list[Job]:
    video = next((job.source for job in jobs if job.is_video), None)
    if video is not None:
        raise UsageError(f"priors are saved of photos and animations, and {video} is a video")
    if len(jobs) == 1 and not save_prior.is_dir():
        return [replace(jobs[0], prior_target=save_prior)]
    if save_prior.is_file():
        raise UsageError(f"{save_prior} is a file; the priors of {len(jobs)} photos need a folder")
    folder = output if jobs[0].target != output else output.parent
    below = [spare.relative_to(folder) for spare in spares]
    return [
        replace(job, prior_target=save_prior / name.with_name(name.name + PRIOR_SUFFIX))
        for job, name in zip(jobs, below, strict=True)
    ]


def _check_writable(jobs: Sequence[Job]) -> None:
    """So that nobody waits for a result that cannot be written."""
    targets = [path for job in jobs for path in (job.target, job.prior_target) if path is not None]
    for folder in sorted({target.parent for target in targets}):
        there = next(path for path in (folder, *folder.absolute().parents) if path.exists())
        if not there.is_dir():
            raise UsageError(f"{there} is a file, and results need a folder there; choose another output")
        if not os.access(there, os.W_OK | os.X_OK):
            raise UsageError(f"no permission to write into {there}; choose another output")


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
