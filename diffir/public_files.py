"""Find public weight files, download them if allowed, and verify their checksums.

The places are searched in this order: the path given by the user, $DIFFIR_CACHE (by default ~/.cache/diffir), torch's
cache ($TORCH_HOME, by default ~/.cache/torch) and, only with ``download``, the address of the file. In: a row with
these places. Out: the path, or one line that states where to put the file and where to get it. A file whose checksum
is not known is taken only from a path given by the user. Downloads use https, redirections included.
"""

import hashlib
import logging
import os
import re
import urllib.request
from http.client import HTTPException, HTTPMessage
from pathlib import Path
from typing import IO, NamedTuple
from urllib.error import URLError
from urllib.parse import urlsplit

from diffir.errors import WeightsError
from diffir.files import write_atomically

logger = logging.getLogger(__name__)

CACHE_VARIABLE = "DIFFIR_CACHE"
DOWNLOAD_TIMEOUT = 60  # seconds to wait for an answer
CHUNK = 1 << 20  # bytes read at a time
SCHEMES = ("https",)
LARGEST_DOWNLOAD = 2 << 30  # bytes; the largest public file has 0.6 GB


class PublicFile(NamedTuple):
    """The places and the checksum of a weight file published by others."""

    in_cache: str
    """Path below diffir's cache folder."""
    in_torch_home: str
    """Path below $TORCH_HOME at which torch or other tools store it; empty if they do not."""
    url: str
    """Address from which the file can be downloaded."""
    sha256: str = ""
    """All digits of the checksum; empty if it is not known, and then only a path given by the user is used."""


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
        WeightsError: the file exists, but its checksum is not the expected one, and it could not be downloaded again.
    """
    # Use the path of the user.
    if named is not None:
        path = Path(named)
        if path.is_file():
            return SearchResult(_checked(path, _digits_in_name(path)))
        return SearchResult(None, f"no file {path}; put {file.url} there")
    if not file.sha256:
        return SearchResult(
            None,
            f"no checksum of {file.url} is known, so it is neither downloaded nor taken from a cache unasked; "
            "download it and give its path",
        )
    # Search the caches.
    kept = cache_folder() / file.in_cache
    places = [kept, torch_home() / file.in_torch_home] if file.in_torch_home else [kept]
    damage = None
    for path in places:
        if path.is_file():
            try:
                return SearchResult(_checked(path, file.sha256))
            except WeightsError as error:  # cut or damaged: another place may have it whole
                damage = damage or error
    # Download the file, or state where to get it.
    advice = f"put {file.url} at {_at_home(kept)}"
    if not download:
        if damage is not None:
            raise damage
        return SearchResult(None, advice)
    try:
        _download(file, kept)
    except (OSError, HTTPException, ValueError, WeightsError) as error:
        if damage is not None:
            raise WeightsError(f"{damage}; that failed ({_one_line(error)})") from error
        return SearchResult(None, f"{file.url} could not be downloaded ({_one_line(error)}); {advice}")
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


def _one_line(error: Exception) -> str:
    return " ".join(str(error).split()) or type(error).__name__


class _OnlyAllowedSchemes(urllib.request.HTTPRedirectHandler):
    """Follows redirections only to addresses that would be allowed at first."""

    def redirect_request(
        self, req: urllib.request.Request, fp: IO[bytes], code: int, msg: str, headers: HTTPMessage, newurl: str
    ) -> urllib.request.Request | None:
        _check_scheme(newurl)
        return super().redirect_request(req, fp, code, msg, headers, newurl)


def _check_scheme(url: str) -> None:
    if urlsplit(url).scheme not in SCHEMES:
        raise URLError(f"only {', '.join(SCHEMES)} is used, not {url}")


def _download(file: PublicFile, path: Path) -> None:
    """Download a file; its name appears only when it is complete and has the expected checksum."""
    _check_scheme(file.url)
    logger.info("downloading %s to %s", file.url, path)
    digest, received = hashlib.sha256(), 0
    opener = urllib.request.build_opener(_OnlyAllowedSchemes)
    with opener.open(file.url, timeout=DOWNLOAD_TIMEOUT) as answer, write_atomically(path) as kept:
        promised = answer.headers.get("Content-Length", "")
        while chunk := answer.read(CHUNK):
            received += len(chunk)
            if received > LARGEST_DOWNLOAD:
                raise WeightsError(f"more than {LARGEST_DOWNLOAD:,} bytes arrived")
            digest.update(chunk)
            kept.write(chunk)
        if promised.isdecimal() and received != int(promised):
            raise WeightsError(f"{received:,} of {int(promised):,} bytes arrived")
        _compare(path, digest.hexdigest(), file.sha256)


def _checked(path: Path, expected: str) -> Path:
    """Return the path after comparing the file's checksum with the expected digits; without digits nothing is read."""
    if expected:
        digest = hashlib.sha256()
        with path.open("rb") as file:
            while chunk := file.read(CHUNK):
                digest.update(chunk)
        _compare(path, digest.hexdigest(), expected)
    return path


def _compare(path: Path, found: str, expected: str) -> None:
    if not found.startswith(expected):
        raise WeightsError(f"{path} is damaged: its sha256 begins {found[:8]}, not {expected[:8]}; download it again")


def _digits_in_name(path: Path) -> str:
    """Return the first digits of the checksum that torch puts into the name of a file; empty if there are none."""
    digits = re.search(r"-([0-9a-f]{8,64})\.", path.name)
    return digits[1] if digits else ""
