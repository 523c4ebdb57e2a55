"""Plan a batch: decide and check which file goes where, before any file is touched and before torch is imported.

In: the files, folders and patterns that the user names, and the output. Out: a list of jobs. No two sources write the
same file and no input is overwritten, even if the format of a result is known only after the photo has been read.
"""

import os
import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path, PurePosixPath
from typing import TypeVar

import numpy as np

from diffir.batch.inputs import FoundFile, check_is_no_address, find_inputs, real_path
from diffir.batch.outscale import size_at
from diffir.errors import ImageError, PairingError, UsageError
from diffir.files import why_refused
from diffir.image_io import IMAGE_SUFFIXES, WRITABLE_SUFFIXES, Content, Photo, kept_suffix, list_images
from diffir.video.encode import VIDEO_SUFFIXES

_NAMES_SHOWN = 3  # largest number of file names that an error message lists
_OTHER_FILE = re.compile(r"\.[a-z][a-z0-9]{1,4}")  # a suffix that a new folder's name is unlikely to end with
_OTHER_FORMATS = {".jfif": ".jpg", ".mpo": ".jpg"}  # instead of formats that cannot be written; others become PNG
PRIOR_SUFFIX = ".prior.safetensors"
AnyPath = TypeVar("AnyPath", Path, PurePosixPath)


@dataclass(frozen=True)
class Job:
    """One result to make of a file, with its target and what else belongs to it."""

    source: Path
    target: Path
    mask: Path | None = None
    target_stem: Path | None = None
    """The target without suffix, which no other file uses with any suffix; None: the format must not change."""
    prior_target: Path | None = None
    """File in which the prior is saved."""
    seed_steps: range = range(1)
    """What is added to the seed. If there are several numbers, the photo is restored once with each, and the target is
    the mean."""
    deviation_target: Path | None = None
    """PNG for the map of the standard deviation over several results."""
    refusal: str = ""
    """One line with the reason, if it is already known that this job will fail."""

    @property
    def is_video(self) -> bool:
        """True if the source has the suffix of a video."""
        return self.source.suffix.lower() in VIDEO_SUFFIXES

    @property
    def targets(self) -> list[Path]:
        """The pictures that are written; priors are not among them."""
        return [path for path in (self.target, self.deviation_target) if path is not None]


def plan_jobs(
    inputs: Sequence[str],
    output: str | Path,
    *,
    suffix: str = "",
    ext: str = "auto",
    recursive: bool = False,
    mask: Path | None = None,
    save_prior: Path | None = None,
    skip_existing: bool = False,
    protected_paths: Sequence[Path] = (),
    samples: int = 1,
    uncertainty: bool = False,
) -> list[Job]:
    """Pair every input with its target and, for inpainting, its mask.

    Args:
        inputs: files, folders (their images, with ``recursive`` those of all folders below) or patterns. A folder
            contributes no videos; they must be named or matched by a pattern.
        output: a file if it has the suffix of an image or a video, is not a folder and one file is given; otherwise a
            folder, in which the tree below an input folder is kept. A new folder whose name looks like the name of a
            file must be given as text that ends with a slash.
        suffix: added to the names of restored files.
        ext: ``auto`` (the format of the input, or another one if that cannot be written or cannot hold the photo) or
            one of png, jpg, webp, tif ...; videos keep their suffix.
        mask: one file for all inputs, or a folder of masks with the names of the images.
        save_prior: a file if it has the suffix .safetensors, is not a folder and one file is given; otherwise a folder.
        skip_existing: existing results are not made again, so a file in an input folder that is the result of another
            file there is not treated as a photo.
        protected_paths: other files that are read, such as weights and priors, and must not be overwritten.
        samples: number of results of each file. Several are jobs of their own, whose targets end in _s1, _s2 ...
        uncertainty: write the mean of the samples to the target, and their standard deviation to a PNG whose name ends
            in _std, instead of the samples.

    Raises:
        UsageError: there is nothing to do, two inputs have one target, a target is an input or cannot be written, or
            the system refuses the output, the mask or the place for priors. A refused input becomes a job that fails.
        PairingError: an image has no mask of its name.
    """
    # Check the arguments themselves.
    for text in (*inputs, str(output), *(str(path) for path in (mask, save_prior) if path is not None)):
        check_is_no_address(text)
    if ext != "auto" and f".{ext}" not in WRITABLE_SUFFIXES:
        raise UsageError(f"cannot write .{ext}; can: {', '.join(WRITABLE_SUFFIXES)}")
    if Path("name" + suffix).name != "name" + suffix:
        raise UsageError(f"the suffix {suffix!r} cannot be part of a file's name")
    is_folder, output = str(output).endswith(("/", os.sep)), Path(output)
    for path, advice in ((output, "another output"), (save_prior, "another place for priors"), (mask, "another mask")):
        reason = "" if path is None else why_refused(path)
        if reason:
            raise UsageError(f"{path}: cannot be used ({reason}); choose {advice}")

    # Find the inputs and decide whether the output is a file or a folder.
    found = find_inputs(inputs, output, recursive=recursive)
    readable = [file for file in found if not file.refusal]
    if output.suffix.lower() in (*IMAGE_SUFFIXES, *VIDEO_SUFFIXES) and not is_folder and not output.is_dir():
        jobs, folder = [_single_job(inputs, found, output, suffix, ext)][: len(readable)], None
    elif not is_folder and not output.exists() and _OTHER_FILE.fullmatch(output.suffix.lower()):
        known = ", ".join((*WRITABLE_SUFFIXES, *VIDEO_SUFFIXES))
        raise UsageError(f"{output} has a suffix that cannot be written ({known}); if a folder is meant, add a /")
    else:
        names = target_names([file.below for file in readable], suffix, ext)
        jobs, folder = [Job(file.source, output / name) for file, name in zip(readable, names, strict=True)], output
    if samples > 1:
        jobs = _with_deviation_targets(jobs, samples) if uncertainty else _one_for_each_sample(jobs, samples)
    if folder is not None and skip_existing:
        jobs = _without_results(jobs, {file.source for file in readable if file.is_listed})

    # Add masks, priors and alternative names, and check all paths against each other and the disk.
    jobs = _with_masks(jobs, mask) if mask is not None else jobs
    jobs = _completed(jobs, output, folder, ext, save_prior, protected_paths) if jobs else []
    return [*(Job(file.source, output / file.below, refusal=file.refusal) for file in found if file.refusal), *jobs]


def final_target(job: Job, content: Content, scale: float = 1) -> Path:
    """The file to write, once the input is known: the format changes if it cannot hold the result and may change.

    Args:
        scale: width of the output divided by width of the input; formats limit the size of a result.
    """
    if job.target_stem is None:
        return job.target
    suffix = kept_suffix(enlarged(content, scale), job.source.suffix)
    return job.target if suffix == job.target.suffix else job.target_stem.with_name(job.target_stem.name + suffix)


def is_complete(job: Job, target: Path) -> bool:
    """Return whether the result exists at this path and is not empty, with the map of the deviation if there is one."""
    written = [target] if job.deviation_target is None else [target, job.deviation_target]
    return all(path.is_file() and path.stat().st_size > 0 for path in written)


def check_kind(job: Job, content: Content) -> None:
    """Refuse an animation or pages if the mean of several results is wanted.

    Raises:
        ImageError: this is no still photo.
    """
    if job.deviation_target is not None and not isinstance(content, Photo):
        raise ImageError("--uncertainty is for still photos; animations and pages have no map")


def enlarged(content: Content, scale: float) -> Content:
    """A content of the enlarged size, type and channels, made of views that take no memory."""
    if not isinstance(content, Photo):
        frames = [enlarged(frame, scale) for frame in content.frames]
        return replace(content, frames=tuple(frame for frame in frames if isinstance(frame, Photo)))
    height, width, channels = content.pixels.shape
    pixels = np.broadcast_to(content.pixels[:1, :1], (*size_at(height, width, scale), channels))
    alpha = None if content.alpha is None else np.broadcast_to(content.alpha[:1, :1], pixels.shape[:2])
    infrared = None if content.infrared is None else np.broadcast_to(content.infrared[:1, :1], pixels.shape[:2])
    return replace(content, pixels=pixels, alpha=alpha, infrared=infrared)


def _one_for_each_sample(jobs: list[Job], samples: int) -> list[Job]:
    """Make a job for each result of each file: ``a.png`` becomes ``a_s1.png``, ``a_s2.png`` ..."""
    return [
        replace(job, target=job.target.with_stem(f"{job.target.stem}_s{step + 1}"), seed_steps=range(step, step + 1))
        for job in jobs
        for step in range(samples)
    ]


def _with_deviation_targets(jobs: list[Job], samples: int) -> list[Job]:
    """The jobs with the files of their maps: ``a_std.png``, or ``a.jpg_std.png`` if ``a.tif`` is a target as well."""
    times = Counter(os.path.normcase(job.target.with_suffix("")) for job in jobs)
    completed = []
    for job in jobs:
        if job.is_video:
            raise UsageError(f"--uncertainty is for photos, and {job.source} is a video")
        is_alone = times[os.path.normcase(job.target.with_suffix(""))] == 1
        name = f"{job.target.stem if is_alone else job.target.name}_std.png"
        completed.append(replace(job, seed_steps=range(samples), deviation_target=job.target.with_name(name)))
    return completed


def _completed(
    jobs: list[Job],
    output: Path,
    folder: Path | None,
    ext: str,
    save_prior: Path | None,
    protected_paths: Sequence[Path],
) -> list[Job]:
    """The jobs with prior targets, target stems and refusals, checked against each other and the disk.

    Args:
        folder: the folder of the results; None if ``output`` names one file.
    """
    sources = [path for job in jobs for path in (job.source, job.mask) if path]
    read = {real_path(path) for path in (*protected_paths, *sources)}
    _check_targets(jobs, read)

    # Prior targets depend on the stems, and must not collide with other targets either.
    stems = _target_stems(jobs, read)
    if save_prior is not None:
        jobs = _with_prior_targets(jobs, stems, folder or output.parent, save_prior)
        _check_targets(jobs, read)
    if ext == "auto" and folder is not None:
        jobs = [replace(job, target_stem=stem) for job, stem in zip(jobs, stems, strict=True)]
    _check_writable(jobs)
    return [replace(job, refusal=_refusal_of(job)) for job in jobs]


def _without_results(jobs: list[Job], listed: set[Path]) -> list[Job]:
    """The jobs without those files of an input folder that are existing results of other files there."""
    others = {real_path(path) for job in jobs for path in job.targets if real_path(path) != real_path(job.source)}
    return [job for job in jobs if job.source not in listed or real_path(job.source) not in others]


def _refusal_of(job: Job) -> str:
    """Why the target cannot be written, or "". The folders above it are known to exist or to be creatable."""
    for path in job.targets:
        reason = why_refused(path)
        if not reason and path.is_dir():
            reason = "a folder has that name"
        if reason:
            return f"{path}: cannot be written ({reason})"
    return ""


def _single_job(inputs: Sequence[str], found: list[FoundFile], output: Path, suffix: str, ext: str) -> Job:
    if len(found) > 1 or (not found[0].refusal and Path(inputs[0]).is_dir()):
        raise UsageError(f"{output} names one file, but the input is {len(found)} images of a list or a folder")
    if suffix or ext != "auto":
        raise UsageError(f"{output} already gives the name and the format: give a folder, or leave out suffix and ext")
    job = Job(found[0].source, output)
    writable = VIDEO_SUFFIXES if job.is_video else WRITABLE_SUFFIXES
    if output.suffix.lower() not in writable:
        kind = "video" if job.is_video else "photo"
        raise UsageError(f"cannot write a {kind} to {output.suffix}; can: {', '.join(writable)}")
    return job


def target_names(below: Sequence[AnyPath], suffix: str, ext: str) -> list[AnyPath]:
    """Paths of the targets relative to the output folder, for paths relative to the input folder.

    ``a.heic`` becomes ``a.png``, or ``a.heic.png`` if there is an ``a.png`` as well. In the format jpg, a folder of
    ``a.JPG`` and ``a.NEF`` becomes ``a.jpg`` and ``a.NEF.jpg``.

    Args:
        suffix, ext: as for ``plan_jobs``.
    """
    endings = [_ending(path.suffix, ext) for path in below]
    names = [path.with_name(path.stem + suffix + ending) for path, ending in zip(below, endings, strict=True)]
    times = Counter(map(os.path.normcase, names))
    for number, (path, ending) in enumerate(zip(below, endings, strict=True)):
        if ending.lower() != path.suffix.lower() and times[os.path.normcase(names[number])] > 1:
            names[number] = path.with_name(path.name + suffix + ending)
    return names


def _ending(suffix: str, ext: str) -> str:
    if suffix.lower() in VIDEO_SUFFIXES or (ext == "auto" and suffix.lower() in WRITABLE_SUFFIXES):
        return suffix
    return _OTHER_FORMATS.get(suffix.lower(), ".png") if ext == "auto" else f".{ext}"


def _check_targets(jobs: Sequence[Job], read: set[Path]) -> None:
    """Refuse a target that is read or that two jobs share; ``read`` holds real paths."""
    taken: dict[str, tuple[Path, bool]] = {}
    for job in jobs:
        for path in (*job.targets, job.prior_target):
            if path is None:
                continue
            target, is_prior = real_path(path), path is job.prior_target
            if target in read:
                is_own = target == real_path(job.source)
                advice = "choose another output" if is_own else "leave it out, or continue with --skip_existing"
                raise UsageError(f"{path} is an input and would be overwritten; {advice}")
            other, was_prior = taken.setdefault(os.path.normcase(target), (job.source, is_prior))
            if other != job.source:
                advice = (
                    f"leave one out: a pattern such as {job.source.with_stem('*')} names some of a folder"
                    if other.parent == job.source.parent
                    else "give them different output folders, or name a folder above them with --recursive"
                )
                raise UsageError(f"{other} and {job.source} would both become {path}; {advice}")
            if is_prior != was_prior:
                raise UsageError(f"the photo and the prior of {job.source} would both become {path}")


def _target_stems(jobs: Sequence[Job], read: set[Path]) -> list[Path]:
    """Find for each job a target without suffix that stays free whatever suffix is added to it.

    It is usually the stem of the job's own target. If ``a.jpg`` lies beside ``a.gif``, the stem is ``a.jpg``, so that
    the result may become ``a.jpg.png``.
    """
    # Count by how many targets, sources and other files that are read each stem is used.
    own = [os.path.normcase(real_path(job.target.with_suffix(""))) for job in jobs]
    maps = [job.deviation_target.with_suffix("") for job in jobs if job.deviation_target is not None]
    taken = Counter([*own, *(os.path.normcase(real_path(path)) for path in maps)])
    sources = [os.path.normcase(real_path(job.source).with_suffix("")) for job in jobs]
    for own_stem, source in zip(own, sources, strict=True):
        taken[source] += source != own_stem
    beside = {os.path.normcase(path.with_suffix("")) for path in read} - set(sources)
    taken.update(beside)

    # Give each job its own stem, or its whole target name with underscores until that is free.
    stems: list[Path] = []
    for own_stem, job in zip(own, jobs, strict=True):
        stem = job.target.with_suffix("")
        if taken[own_stem] > 1:
            stem = job.target
            while taken[os.path.normcase(real_path(stem))]:
                stem = stem.with_name(stem.name + "_")
            taken[os.path.normcase(real_path(stem))] += 1
        stems.append(stem)
    return stems


def _with_prior_targets(jobs: list[Job], stems: list[Path], folder: Path, save_prior: Path) -> list[Job]:
    video = next((job.source for job in jobs if job.is_video), None)
    if video is not None:
        raise UsageError(f"priors can be saved for photos and animations only, and {video} is a video")
    is_file = save_prior.suffix.lower() == ".safetensors" and not save_prior.is_dir()
    if is_file and len(jobs) == 1:
        return [replace(jobs[0], prior_target=save_prior)]
    looks_like_a_file = save_prior.suffix.lower() in IMAGE_SUFFIXES or _OTHER_FILE.fullmatch(save_prior.suffix.lower())
    if is_file or (looks_like_a_file and not save_prior.is_dir()) or save_prior.is_file():
        raise UsageError(
            f"priors go to a folder, or the prior of one photo to a .safetensors file, not to {save_prior}"
        )
    below = [stem.relative_to(folder) for stem in stems]
    return [
        replace(job, prior_target=save_prior / name.with_name(name.name + PRIOR_SUFFIX))
        for job, name in zip(jobs, below, strict=True)
    ]


def _check_writable(jobs: Sequence[Job]) -> None:
    """Refuse an output folder that cannot be made or written to, before any time is spent on restoring."""
    targets = [path for job in jobs for path in (*job.targets, job.prior_target) if path is not None]
    for folder in sorted({target.parent for target in targets}):
        upwards = (folder, *folder.absolute().parents)
        existing = next(path for path in upwards if not why_refused(path) and path.exists())
        if not existing.is_dir():
            raise UsageError(f"{existing} is a file, and results need a folder there; choose another output")
        if not os.access(existing, os.W_OK | os.X_OK):
            raise UsageError(f"no permission to write into {existing}; choose another output")


def _with_masks(jobs: Sequence[Job], mask: Path) -> list[Job]:
    if mask.exists() and not mask.is_file() and not mask.is_dir():
        raise UsageError(f"{mask}: a pipe or a device, not a file; choose another mask")
    if not mask.is_dir():
        return [replace(job, mask=mask) for job in jobs]
    # Find the mask of each image by its name without suffix.
    by_name: dict[str, Path] = {}
    for path in _masks_in(mask):
        other = by_name.setdefault(path.stem, path)
        if other != path:
            raise PairingError(f"two masks for one image in {mask}: {other.name} and {path.name}")
    missing = [job.source.name for job in jobs if job.source.stem not in by_name]
    if missing:
        shown = ", ".join(missing[:_NAMES_SHOWN]) + (" ..." if len(missing) > _NAMES_SHOWN else "")
        raise PairingError(f"{len(missing)} of {len(jobs)} images have no mask of their name in {mask}: {shown}")
    return [replace(job, mask=by_name[job.source.stem]) for job in jobs]


def _masks_in(folder: Path) -> list[Path]:
    try:
        return list_images(folder)
    except OSError as error:
        raise UsageError(f"{folder}: cannot be listed ({error.strerror}); choose another mask") from error
