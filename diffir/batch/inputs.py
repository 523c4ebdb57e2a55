"""Find the input files: expand the files, folders and patterns that the user names.

In: names of files, folders and patterns. Out: each file once, with its path relative to the input that named it. A file
or folder that the operating system refuses is listed with the reason, so that it fails as a job of its own while the
other files go on.
"""

import logging
import mimetypes
import os
import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from glob import glob, has_magic
from pathlib import Path

from diffir.errors import UsageError
from diffir.files import why_refused
from diffir.image_io import IMAGE_SUFFIXES
from diffir.image_io.formats import kind_of
from diffir.video.encode import VIDEO_SUFFIXES

_logger = logging.getLogger(__name__)
_ADDRESS = re.compile(r"([a-z][a-z0-9+.-]+):/{1,2}(?!/)", re.IGNORECASE)  # pathlib makes one slash of two
_BUCKETS = ("s3", "gs", "gcs", "hf", "az", "abfs")  # protocols of folders of files
_NAMES_SHOWN = 3  # largest number of file names that a message lists
_BEGINNING = 32  # bytes that tell whether a file is an image


@dataclass(frozen=True)
class FoundFile:
    """One input file, which may be missing or unreadable."""

    source: Path
    below: Path
    """Path relative to the input that named it."""
    refusal: str = ""
    """One line with the reason, if the file cannot be read or is not a regular file."""
    is_listed: bool = False
    """True if the file was found in a folder and not named itself."""


def find_inputs(inputs: Sequence[str], output: Path, *, recursive: bool) -> list[FoundFile]:
    """Find all files, in the order of the inputs; a file that does not exist is listed too and fails as a job.

    Args:
        output: if this folder lies below an input folder, its images are results of an earlier run and are left out.
        recursive: also search the folders below an input folder.

    Raises:
        UsageError: there is no input, or an input holds nothing to restore.
    """
    found: dict[str, FoundFile] = {}  # by absolute path, so that a file named twice is one
    for text in inputs:
        # A name is a file, a folder or, if no such file exists, a pattern.
        if not text:
            raise UsageError("an input has an empty name; the current folder is named .")
        path = Path(text)
        reason = "" if has_magic(text) else why_refused(path)
        if reason:
            named = [_refused(path, Path(path.name), reason)]
        elif not why_refused(path) and path.is_dir():
            named = _in_folder(path, output, recursive)
        elif has_magic(text) and (why_refused(path) or not path.exists()):
            named = [_checked(match, Path(match.name)) for match in _matches_of(text)]
        else:
            named = [_checked(path, Path(path.name))]
        found |= {os.path.abspath(file.source): file for file in named}  # noqa: PTH100 - no links
    if not found:
        raise UsageError("no input: name photos, folders or patterns")
    return list(found.values())


def check_is_no_address(text: str) -> None:
    """Refuse an address such as https://... or s3://..., which is read as a path only by mistake.

    Raises:
        UsageError: the text is an address.
    """
    found = _ADDRESS.match(text)
    if found:
        advice = "diffir fleet takes it" if found[1].lower() in _BUCKETS else "download it first"
        raise UsageError(f"{text} is an address ({found[1]}), and this command takes files only: {advice}")


def real_path(path: Path) -> Path:
    """Absolute path with links followed; unlike ``Path.resolve`` it accepts links that form a circle."""
    return Path(os.path.realpath(path))


def _in_folder(folder: Path, output: Path, recursive: bool) -> list[FoundFile]:
    # List the files of the folder without results of an earlier run.
    images, videos, others, refused = _list_files(folder, recursive)
    if recursive and real_path(output) != real_path(folder) and _is_below(output, folder):
        images = [image for image in images if not _is_below(image, output)]  # results of an earlier run

    # Videos are not restored unless they are named, since that may take hours.
    advice = f"{len(videos)} videos in {folder} are left out: name them, or give a pattern"
    if not images and not refused:
        if videos:
            raise UsageError(advice)
        where = "nor in any folder below" if recursive else "(--recursive also searches the folders below)"
        raise UsageError(f"no image in {folder} {where}; known suffixes: {', '.join(IMAGE_SUFFIXES)}")
    if videos:
        _logger.info("%s", advice)
    missed = [other for other in others if _looks_like_an_image(other)]
    if missed:
        shown = ", ".join(other.name for other in missed[:_NAMES_SHOWN]) + (
            " ..." if len(missed) > _NAMES_SHOWN else ""
        )
        _logger.info(
            "%d files in %s look like images and are left out for their suffix: %s", len(missed), folder, shown
        )
    listed = [replace(_checked(image, image.relative_to(folder)), is_listed=True) for image in images]
    return [*refused, *listed]


def _list_files(folder: Path, recursive: bool) -> tuple[list[Path], list[Path], list[Path], list[FoundFile]]:
    """Sorted images, videos and other files of a folder without hidden ones, and the folders that cannot be listed."""
    files: list[Path] = []
    others: list[Path] = []
    errors: list[OSError] = []
    for parent, folders, names in os.walk(folder, onerror=errors.append):
        if not recursive:
            folders.clear()
        paths = [Path(parent, name) for name in names if not name.startswith(".")]
        known = [path for path in paths if path.suffix.lower() in (*IMAGE_SUFFIXES, *VIDEO_SUFFIXES)]
        others += [path for path in paths if path.suffix.lower() not in (*IMAGE_SUFFIXES, *VIDEO_SUFFIXES)]
        files += [path for path in known if why_refused(path) or path.is_file()]
    refused = [(Path(error.filename), error.strerror or str(error)) for error in errors]
    videos = [path for path in sorted(files) if path.suffix.lower() in VIDEO_SUFFIXES]
    images = [path for path in sorted(files) if path.suffix.lower() in IMAGE_SUFFIXES]
    return images, videos, sorted(others), [_refused(path, path.relative_to(folder), why) for path, why in refused]


def _looks_like_an_image(path: Path) -> bool:
    """Return whether the suffix is known for images, or is unknown and the content is that of an image."""
    kind = mimetypes.guess_type(path.name)[0]
    if kind is not None:
        return kind.startswith("image/")
    try:
        if not path.is_file():  # opening a pipe may never end
            return False
        with path.open("rb") as file:
            return bool(kind_of(file.read(_BEGINNING), ""))
    except OSError:
        return False


def _matches_of(pattern: str) -> list[Path]:
    matches = [Path(match) for match in sorted(glob(pattern, recursive=True))]  # noqa: PTH207 - takes whole paths
    known = (*IMAGE_SUFFIXES, *VIDEO_SUFFIXES)
    named = [match for match in matches if match.suffix.lower() in known]
    found = [match for match in named if why_refused(match) or match.is_file()]
    if not found:
        raise UsageError(f"no image and no video matches {pattern}")
    return found


def _checked(path: Path, below: Path) -> FoundFile:
    reason = why_refused(path)
    if reason:
        return _refused(path, below, reason)
    if path.exists() and not path.is_file() and not path.is_dir():  # reading a pipe may never end
        return FoundFile(path, below, f"{path}: a pipe or a device, not a file")
    return FoundFile(path, below)


def _refused(path: Path, below: Path, reason: str) -> FoundFile:
    return FoundFile(path, below, f"{path}: cannot be read ({reason})")


def _is_below(path: Path, folder: Path) -> bool:
    return real_path(path).is_relative_to(real_path(folder))
