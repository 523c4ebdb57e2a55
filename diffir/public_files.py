"""Find public weight files, download them if allowed, and verify their checksums.

The places are searched in this order: the path given by the user, $DIFFIR_CACHE (by default ~/.cache/diffir), torch's
cache ($TORCH_HOME, by default ~/.cache/torch) and, only with ``download``, the address of the file. In: a row with
these places. Out: the path, or one line that states where to put the file and where to get it.
"""

import hashlib
import logging
import os
import re
import urllib.request
from http.client import HTTPException
from pathlib import Path
from typing import NamedTuple

from diffir.errors import WeightsError
from diffir.files import write_atomically

logger = logging.getLogger(__name__)

CACHE_VARIABLE = "DIFFIR_CACHE"
DOWNLOAD_TIMEOUT = 60  # seconds to wait for an answer
CHUNK = 1 << 20  # bytes read at a time


class PublicFile(NamedTuple):
    """The places and the checksum of a weight file published by others."""

    in_cache: str
    """Path below diffir's cache folder."""
    in_torch_home: str
    """Path below $TORCH_HOME at which torch or other tools store it; empty if they do not."""
    url: str
    """Address from which the file can be downloaded."""
    sha256: str = ""
    """All digits of the checksum; empty if only those in the file's name are known, or none."""


class SearchResult(NamedTuple):
    """The path of a file, or the reason why it was not found."""

    path: Path | None
    reason: str = ""
    """One line that states why there is no path; empty if there is one."""


def find(file: PublicFile, named: str | Path | None = None, *, download: bool = False) -> SearchResult:
    """Return the path of a file, or a line that states how to get it.

    Args:
        file: places and checksum of the file.
        named: path given by the user; if it is given, no other place is searched.
        download: download the file to diffir's cache folder if it is not found.

    Raises:
        WeightsError: the file exists, but its checksum is not the expected one.
    """
    # Use the path of the user.
    if named is not None:
        path = Path(named)
        if path.is_file():
            return SearchResult(_checked(path))
        return SearchResult(None, f"no file {path}; put {file.url} there")
    # Search the caches.
    kept = cache_folder() / file.in_cache
    places = [kept, torch_home() / file.in_torch_home] if file.in_torch_home else [kept]
    for path in places:
        if path.is_file():
            return SearchResult(_checked(path, file.sha256))
    # Download the file, or state where to get it.
    advice = f"put {file.url} at {_at_home(kept)}"
    if not download:
        return SearchResult(None, advice)
    try:
        _download(file, kept)
    except (OSError, HTTPException, WeightsError) as error:
        return SearchResult(None, f"{file.url} could not be downloaded ({error}); {advice}")
    return SearchResult(kept)


def _at_home(path: Path) -> str:
    """Return the path with ~ for the user's home folder, since reports with this message are shown to others."""
    home = Path.home()
    return f"~/{path.relative_to(home).as_posix()}" if path.is_relative_to(home) else str(path)


def cache_folder() -> Path:
    """Return the folder for downloaded files."""
    return Path(os.environ.get(CACHE_VARIABLE) or Path.home() / ".cache" / "diffir")


def torch_home() -> Path:
    """Return the folder in which torch stores downloads, by torch's own rules."""
    caches = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    return Path(os.environ.get("TORCH_HOME") or caches / "torch").expanduser()


def _download(file: PublicFile, path: Path) -> None:
    """Download a file; its name appears only when it is complete and has the expected checksum."""
    logger.info("downloading %s to %s", file.url, path)
    digest = hashlib.sha256()
    with urllib.request.urlopen(file.url, timeout=DOWNLOAD_TIMEOUT) as answer, write_atomically(path) as kept:
        while chunk := answer.read(CHUNK):
            digest.update(chunk)
            kept.write(chunk)
        _compare(path, digest.hexdigest(), file.sha256)


def _checked(path: Path, sha256: str = "") -> Path:
    """Return the path after comparing the file's checksum with the expected one, if one is known."""
    if sha256 or _digits_in_name(path):
        digest = hashlib.sha256()
        with path.open("rb") as file:
            while chunk := file.read(CHUNK):
                digest.update(chunk)
        _compare(path, digest.hexdigest(), sha256)
    return path


def _compare(path: Path, found: str, sha256: str) -> None:
    expected = sha256 or _digits_in_name(path)
    if not found.startswith(expected):
        raise WeightsError(f"{path} is damaged: its sha256 begins {found[:8]}, not {expected[:8]}; download it again")


def _digits_in_name(path: Path) -> str:
    """Return the first digits of the checksum that torch puts into the name of a file; empty if there are none."""
    digits = re.search(r"-([0-9a-f]{8,64})\.", path.name)
    return digits[1] if digits else ""
