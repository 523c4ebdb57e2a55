"""Folders on disks and in object stores, by one interface: list photos, fetch one, put one.

In: an address such as ``photos``, ``s3://bucket/photos``, ``gs://bucket`` or ``hf://datasets/owner/name``. The package
fsspec reads them; credentials and endpoints come from where its drivers look for them, such as environment variables.
A ``Store`` can be pickled, so that workers on other machines open the same place.
"""

from __future__ import annotations

import posixpath
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from diffir.errors import DiffIRError, MissingDependency, UsageError
from diffir.files import write_atomically
from diffir.image_io import IMAGE_SUFFIXES

if TYPE_CHECKING:
    from fsspec import AbstractFileSystem

_LOCAL = ("file", "local")


@dataclass(frozen=True)
class StoredPhoto:
    """A photo in a store, as listed."""

    below: str
    """Path relative to the root, with slashes."""
    size: int
    """In bytes."""


@dataclass(frozen=True)
class Store:
    """A folder of a disk or of an object store."""

    files: AbstractFileSystem
    root: str
    """Path of the folder as the driver names it, without protocol and without a slash at the end."""

    @classmethod
    def at(cls, address: str) -> Store:
        """Open the folder with an address; it need not exist.

        Raises:
            UsageError: no driver knows the protocol.
            MissingDependency: fsspec or the driver of the protocol is not installed.
        """
        try:
            import fsspec
        except ImportError:
            raise MissingDependency("fsspec", "diffir fleet", "fleet") from None
        try:
            files, root = fsspec.core.url_to_fs(address)
        except ImportError as error:  # its message names the package
            raise UsageError(f"{address}: {_line(error)}") from error
        except ValueError as error:
            raise UsageError(f"{address}: {_line(error)}; use a folder, s3://, gs:// or hf://") from error
        return cls(files, root.rstrip("/") or "/")

    @property
    def is_local(self) -> bool:
        """True if the folder lies on a disk, where other programs can open its files by path."""
        protocol = self.files.protocol
        return any(name in _LOCAL for name in ((protocol,) if isinstance(protocol, str) else protocol))

    def address(self, below: str = "") -> str:
        """Address of the folder, or of a file in it; a file on a disk is named by its path."""
        path = self._path(below)
        return path if self.is_local else str(self.files.unstrip_protocol(path))

    def holds(self, other: Store) -> bool:
        """Return whether the other folder is this one or lies in it."""
        return self.files == other.files and f"{other.root}/".startswith(f"{self.root}/")

    def photos(self, without: tuple[Store, ...] = ()) -> list[StoredPhoto]:
        """List the photos of the folder and of all folders below, sorted, without hidden files.

        Args:
            without: folders that are passed over, such as that of the results.
        Raises:
            DiffIRError: the folder does not exist, or the store refuses to list it.
        """
        found = []
        inside = [f"{store.root}/" for store in without if self.holds(store) and store.root != self.root]
        for path, facts in self._listed():
            below = path.removeprefix(f"{self.root}/")
            hidden = any(part.startswith(".") for part in below.split("/"))
            if not hidden and Path(below).suffix.lower() in IMAGE_SUFFIXES and not path.startswith(tuple(inside)):
                found.append(StoredPhoto(below, int(facts.get("size") or 0)))
        return sorted(found, key=lambda photo: photo.below)

    def fetch(self, below: str, folder: Path) -> Path:
        """Copy a file into a local folder, and return its path there; a file on a disk stays where it is.

        Raises:
            DiffIRError: the file cannot be read.
        """
        if self.is_local:
            return Path(self._path(below))
        target = folder / posixpath.basename(below)
        folder.mkdir(parents=True, exist_ok=True)
        try:
            self.files.get_file(self._path(below), str(target))
        except Exception as error:  # each driver has its own
            raise DiffIRError(f"{self.address(below)}: cannot be fetched ({_line(error)})") from error
        return target

    def put(self, file: Path, below: str) -> None:
        """Copy a local file into the store, where it appears complete or not at all, and replaces an older one.

        Raises:
            DiffIRError: the store refuses it.
        """
        try:
            if self.is_local:
                with file.open("rb") as content, write_atomically(self._path(below)) as target:
                    shutil.copyfileobj(content, target)
            else:  # an object has its name only when all of its bytes have arrived
                self.files.put_file(str(file), self._path(below))
        except Exception as error:  # each driver has its own
            raise DiffIRError(f"{self.address(below)}: cannot be written ({_line(error)})") from error

    def below(self, name: str) -> Store:
        """The folder with this name in this one."""
        return Store(self.files, self._path(name))

    def listing(self, suffix: str) -> list[str]:
        """Sorted names of the files with a suffix directly in the folder; empty if the folder does not exist."""
        self.files.invalidate_cache()
        try:
            paths = self.files.ls(self.root, detail=False)
        except FileNotFoundError:
            return []
        except Exception as error:  # each driver has its own
            raise DiffIRError(f"{self.address()}: cannot be listed ({_line(error)})") from error
        return sorted(posixpath.basename(path) for path in paths if path.endswith(suffix))

    def _listed(self) -> Iterator[tuple[str, dict[str, Any]]]:
        """Paths and facts of all files."""
        try:
            found = self.files.find(self.root, detail=True)
            if not found and not self.files.exists(self.root):
                raise FileNotFoundError("there is no such folder")
        except Exception as error:  # each driver has its own
            raise DiffIRError(f"{self.address()}: cannot be listed ({_line(error)})") from error
        yield from found.items()

    def _path(self, below: str) -> str:
        return posixpath.join(self.root, below) if below else self.root


def _line(error: Exception) -> str:
    """The message of an error in one line."""
    text = " ".join(str(error).split())
    return text or type(error).__name__
