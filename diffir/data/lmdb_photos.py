"""LMDB folders as BasicSR writes them: a database of image files, and ``meta_info.txt`` that names them.

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
    """Photos of an LMDB."""

    def __init__(self, folder: Path) -> None:
        import_lmdb()
        self.folder = folder
        try:
            lines = (folder / META_INFO).read_text("utf-8").splitlines()
        except OSError as error:
            raise ConfigError(
                f"{folder / META_INFO} cannot be read ({error.strerror}); BasicSR and tools/pack_photos.py write it"
            ) from error
        self.names: Sequence[str] = [line.split(" (")[0].strip() for line in lines if line.strip()]

    def read(self, name: str) -> Photo:
        """The photo of a line of the list.

        Raises:
            ImageError: not in the database, damaged, or not PNG, JPEG or WebP.
        """
        with _environment(self.folder.resolve()).begin(write=False) as transaction:
            content = transaction.get(key_of(name).encode())
        if content is None:
            raise ImageError(f"{self.folder}: {name} is in {META_INFO} and not in the database; pack it again")
        return decode(content, f"{self.folder}: {name}")


def _environment(folder: Path) -> Any:
    """The handle of this process for a database."""
    with _opening:
        process, handle = _opened.get(folder, (0, None))
        if process != os.getpid():
            if handle is not None:
                handle.close()  # what the fork left here; the parent keeps its own
            handle = _open(folder)
            _opened[folder] = os.getpid(), handle
        return handle


def _open(folder: Path) -> Any:
    lmdb = import_lmdb()
    try:
        # One reader a process and no writer: locks would only cost, and fail on read-only disks.
        return lmdb.open(str(folder), readonly=True, lock=False, readahead=False, meminit=False)
    except lmdb.Error as error:
        raise ImageError(f"{folder} is not an LMDB ({error})") from error


def key_of(name: str) -> str:
    """Key of a photo in the database: its name without suffix, as BasicSR has it."""
    return name.rpartition(".")[0] or name


def import_lmdb() -> ModuleType:
    """The package.

    Raises:
        MissingDependency: it is not installed.
    """
    try:
        return import_module("lmdb")
    except ImportError as error:
        raise MissingDependency("lmdb", "reading and writing LMDB", "lmdb") from error
