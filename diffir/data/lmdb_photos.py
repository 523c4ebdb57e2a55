"""Read LMDB folders in the layout of BasicSR: a database of image files and a list of names, ``meta_info.txt``.

In: a folder ending in .lmdb. Out: names and photos. A line of the list is ``NAME.png (height,width,channels) LEVEL``;
the key is NAME without suffix. Each process opens a database once for itself, since a handle must not cross a fork.
"""

import os
import threading
from collections.abc import Sequence
from importlib import import_module
from pathlib import Path
from types import ModuleType
from typing import Any

from diffir.data.packed import decode
from diffir.errors import ConfigError, ImageError, MissingDependency
from diffir.image_io import Photo

META_INFO = "meta_info.txt"
_opening = threading.Lock()
_opened: dict[Path, tuple[int, Any]] = {}  # process and handle: LMDB forbids opening a database twice in one process


class LmdbPhotos:
    """A photo source that reads from an LMDB."""

    def __init__(self, folder: Path) -> None:
        import_lmdb()
        self.folder = folder
        self.names: Sequence[str] = _listed(folder / META_INFO)

    def read(self, name: str) -> Photo:
        """Read the photo of a name in the list.

        Raises:
            ImageError: the photo is not in the database, is corrupt, or is not PNG, JPEG or WebP; or the database is.
        """
        lmdb = import_lmdb()
        try:
            with _environment(self.folder.resolve()).begin(write=False) as transaction:
                content = transaction.get(key_of(name).encode())
        except lmdb.Error as error:  # a damaged page, or a name longer than any key
            raise ImageError(f"{self.folder}: {name} cannot be read ({error}); pack it again") from error
        if content is None:
            raise ImageError(f"{self.folder}: {name} is in {META_INFO} and not in the database; pack it again")
        return decode(content, f"{self.folder}: {name}")


def _listed(meta_info: Path) -> list[str]:
    """Return the names in a list.

    Raises:
        ConfigError: the list cannot be read, is not UTF-8, or has a line without a name.
    """
    try:
        lines = meta_info.read_bytes().decode("utf-8").splitlines()
    except OSError as error:
        raise ConfigError(
            f"{meta_info} cannot be read ({error.strerror}); BasicSR and tools/pack_photos.py write it"
        ) from error
    except UnicodeDecodeError as error:
        line = error.object.count(b"\n", 0, error.start) + 1
        raise ConfigError(f"{meta_info} is not UTF-8 text (line {line}); write it again in UTF-8") from error
    names = [(number, line.split(" (")[0].strip()) for number, line in enumerate(lines, 1) if line.strip()]
    unnamed = next((number for number, name in names if not key_of(name)), None)
    if unnamed is not None:
        raise ConfigError(
            f"{meta_info}: line {unnamed} names no photo; a line is NAME.png (height,width,channels) LEVEL"
        )
    return [name for _, name in names]


def _environment(folder: Path) -> Any:
    """The database handle of this process, opened at the first call."""
    with _opening:
        process, handle = _opened.get(folder, (0, None))
        if process != os.getpid():
            if handle is not None:
                handle.close()  # a copy from before the fork; the parent keeps its own
            handle = _open(folder)
            _opened[folder] = os.getpid(), handle
        return handle


def _open(folder: Path) -> Any:
    lmdb = import_lmdb()
    try:
        # There is no writer, so locks would only take time, and they fail on read-only disks.
        handle = lmdb.open(str(folder), readonly=True, lock=False, readahead=False, meminit=False)
    except lmdb.Error as error:
        raise ImageError(f"{folder} is not an LMDB ({error})") from error
    # The library maps the file; reading a page beyond its end would end the process with a signal.
    needed = (handle.info()["last_pgno"] + 1) * handle.stat()["psize"]
    found = (folder / "data.mdb").stat().st_size
    if found < needed:
        handle.close()
        raise ImageError(f"{folder}/data.mdb is cut short ({found:,} of {needed:,} bytes); copy or pack it again")
    return handle


def key_of(name: str) -> str:
    """Key of a photo in the database: its name without suffix, as in BasicSR."""
    return name.rpartition(".")[0] or name


def import_lmdb() -> ModuleType:
    """Import the optional package ``lmdb``.

    Raises:
        MissingDependency: the package is not installed.
    """
    try:
        return import_module("lmdb")
    except ImportError as error:
        raise MissingDependency("lmdb", "reading and writing LMDB", "lmdb") from error
