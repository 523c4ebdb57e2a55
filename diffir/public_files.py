"""Where public weight files come from, and how it is known that one is whole.

Looked for in this order: the path the user named, $DIFFIR_CACHE (else ~/.cache/diffir), torch's own cache
($TORCH_HOME, else ~/.cache/torch) and, only where ``download`` says so, the file's home in the net. In: a row that
says where a file lies. Out: its path, or the reason why there is none: one line with the place and the address.
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
DOWNLOAD_TIMEOUT = 60  # seconds without an answer
CHUNK = 1 << 20  # bytes read at a time


class PublicFile(NamedTuple):
    """A file that others publish."""

    in_cache: str
    """Its place in our cache folder."""
    in_torch_home: str
    """Where torch or other tools keep it, below $TORCH_HOME; empty: nowhere."""
    url: str
    sha256: str = ""
    """In full; empty where only the digits in the file's name are known, or none."""


class Found(NamedTuple):
    """What a search came to."""

    path: Path | None
    reason: str = ""
    """Why there is no path: one line."""


def find(file: PublicFile, named: str | Path | None = None, *, download: bool = False) -> Found:
    """The file, or what to do about its absence.

    Args:
        file: where it lies.
        named: the path the user gave; no other place is looked at then.
        download: fetch it into our cache folder if it is nowhere.

    Raises:
        WeightsError: a file is there, but its sha256 is not the promised one.
    """
    if named is not None:
        path = Path(named)
        return Found(_checked(path)) if path.is_file() else Found(None, f"no file {path}; put {file.url} there")
    kept = cache_folder() / file.in_cache
    places = [kept, torch_home() / file.in_torch_home] if file.in_torch_home else [kept]
    for path in places:
        if path.is_file():
            return Found(_checked(path, file.sha256))
    advice = f"put {file.url} at {_at_home(kept)}"
    if not download:
        return Found(None, advice)
    try:
        _fetch(file, kept)
    except (OSError, HTTPException, WeightsError) as error:
        return Found(None, f"{file.url} could not be fetched ({error}); {advice}")
    return Found(kept)


def _at_home(path: Path) -> str:
    """With ~ for the user's own folder: reports that hold the advice are shown to others."""
    home = Path.home()
    return f"~/{path.relative_to(home).as_posix()}" if path.is_relative_to(home) else str(path)


def cache_folder() -> Path:
    """Where fetched files are kept."""
    return Path(os.environ.get(CACHE_VARIABLE) or Path.home() / ".cache" / "diffir")


def torch_home() -> Path:
    """Where torch keeps what it fetched, by its own rules."""
    caches = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    return Path(os.environ.get("TORCH_HOME") or caches / "torch").expanduser()


def _fetch(file: PublicFile, path: Path) -> None:
    """The name appears only once the whole file is there and has the promised sum."""
    logger.info("fetching %s to %s", file.url, path)
    digest = hashlib.sha256()
    with urllib.request.urlopen(file.url, timeout=DOWNLOAD_TIMEOUT) as answer, write_atomically(path) as kept:
        while chunk := answer.read(CHUNK):
            digest.update(chunk)
            kept.write(chunk)
        _compare(path, digest.hexdigest(), file.sha256)


def _checked(path: Path, sha256: str = "") -> Path:
    if sha256 or _promised_by_name(path):
        digest = hashlib.sha256()
        with path.open("rb") as file:
            while chunk := file.read(CHUNK):
                digest.update(chunk)
        _compare(path, digest.hexdigest(), sha256)
    return path


def _compare(path: Path, found: str, sha256: str) -> None:
    promised = sha256 or _promised_by_name(path)
    if not found.startswith(promised):
        raise WeightsError(f"{path} is damaged: its sha256 begins {found[:8]}, not {promised[:8]}; fetch it again")


def _promised_by_name(path: Path) -> str:
    """torch puts the first digits of a file's sha256 into its name; empty where there are none."""
    promised = re.search(r"-([0-9a-f]{8,64})\.", path.name)
    return promised[1] if promised else ""
