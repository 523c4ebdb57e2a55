"""What the user named -> the files there are, and those the system refuses.

In: words: files, folders, patterns. Out: each file once, with its path below what named it. A file or folder that may
not be looked at is found, too, with the reason: it shall fail as a job of its own, while the rest goes on.
"""

import logging
import os
from collections.abc import Sequence
from dataclasses import dataclass, replace
from glob import glob, has_magic
from pathlib import Path

from diffir.errors import UsageError
from diffir.files import why_refused
from diffir.image_io import IMAGE_SUFFIXES
from diffir.video.encode import VIDEO_SUFFIXES

_logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Found:
    """One file to restore, there or not."""

    source: Path
    below: Path
    """Its path below the input that named it."""
    refusal: str = ""
    """One line, if the system refuses it, or it is no file."""
    is_listed: bool = False
    """Found in a folder, not named."""


def find_inputs(inputs: Sequence[str], output: Path, *, recursive: bool) -> list[Found]:
    """All files, in the order of the inputs; one that does not exist is left to fail as a job.

    Args:
        output: a folder below an input folder, whose images, results of an earlier run, are passed over.
    Raises:
        UsageError: no input, or one in which there is nothing to restore.
    """
    found: dict[str, Found] = {}  # by absolute path, so that a file named twice is one
    for text in inputs:
        if not text:
            raise UsageError("an input has an empty name; the current folder is named .")
        path = Path(text)
        reason = "" if has_magic(text) else why_refused(path)
        if reason:
            named = [_refused(path, Path(path.name), reason)]
        elif not why_refused(path) and path.is_dir():
            named = _in_folder(path, output, recursive)
        elif has_magic(text) and (why_refused(path) or not path.exists()):
            named = [_looked_at(match, Path(match.name)) for match in _matches_of(text)]
        else:
            named = [_looked_at(path, Path(path.name))]
        found |= {os.path.abspath(file.source): file for file in named}  # noqa: PTH100 - no links
    if not found:
        raise UsageError("no input: name photos, folders or patterns")
    return list(found.values())


def real_path(path: Path) -> Path:
    """Absolute, links followed; unlike ``resolve`` not at odds with links in a circle."""
    return Path(os.path.realpath(path))


def _in_folder(folder: Path, output: Path, recursive: bool) -> list[Found]:
    images, videos, refused = _walk(folder, recursive)
    if recursive and real_path(output) != real_path(folder) and _is_below(output, folder):
        images = [image for image in images if not _is_below(image, output)]  # results of an earlier run
    advice = f"{len(videos)} videos in {folder} are left out: name them, or give a pattern"
    if not images and not refused:
        if videos:
            raise UsageError(advice)
        where = "nor in any folder below" if recursive else "(--recursive looks into the folders below)"
        raise UsageError(f"no image in {folder} {where}; known suffixes: {', '.join(IMAGE_SUFFIXES)}")
    if videos:
        _logger.info("%s", advice)
    listed = [replace(_looked_at(image, image.relative_to(folder)), is_listed=True) for image in images]
    return [*refused, *listed]


def _walk(folder: Path, recursive: bool) -> tuple[list[Path], list[Path], list[Found]]:
    """Its images and its videos, sorted, hidden ones left out; and the folders that cannot be listed."""
    files: list[Path] = []
    errors: list[OSError] = []
    for parent, folders, names in os.walk(folder, onerror=errors.append):
        if not recursive:
            folders.clear()
        paths = [Path(parent, name) for name in names if not name.startswith(".")]
        known = [path for path in paths if path.suffix.lower() in (*IMAGE_SUFFIXES, *VIDEO_SUFFIXES)]
        files += [path for path in known if why_refused(path) or path.is_file()]
    refused = [(Path(error.filename), error.strerror or str(error)) for error in errors]
    videos = [path for path in sorted(files) if path.suffix.lower() in VIDEO_SUFFIXES]
    images = [path for path in sorted(files) if path.suffix.lower() in IMAGE_SUFFIXES]
    return images, videos, [_refused(path, path.relative_to(folder), reason) for path, reason in refused]


def _matches_of(pattern: str) -> list[Path]:
    matches = [Path(match) for match in sorted(glob(pattern, recursive=True))]  # noqa: PTH207 - takes whole paths
    known = (*IMAGE_SUFFIXES, *VIDEO_SUFFIXES)
    named = [match for match in matches if match.suffix.lower() in known]
    found = [match for match in named if why_refused(match) or match.is_file()]
    if not found:
        raise UsageError(f"no image and no video matches {pattern}")
    return found


def _looked_at(path: Path, below: Path) -> Found:
    reason = why_refused(path)
    if reason:
        return _refused(path, below, reason)
    if path.exists() and not path.is_file() and not path.is_dir():  # it may never end
        return Found(path, below, f"{path}: a pipe or a device, not a file")
    return Found(path, below)


def _refused(path: Path, below: Path, reason: str) -> Found:
    return Found(path, below, f"{path}: cannot be read ({reason})")


def _is_below(path: Path, folder: Path) -> bool:
    return real_path(path).is_relative_to(real_path(folder))
