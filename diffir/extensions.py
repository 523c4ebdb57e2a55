"""Tables that other packages extend through entry points: degradations, metrics, losses, loggers and systems.

In: the rows of diffir, and the group of the entry points. Out: a mapping from names to rows. A row of another package
is loaded when it is asked for. Names of diffir come first, so no other package can replace them. docs/extending.md has
an example for each group.
"""

import logging
import os
import sys
from collections.abc import Callable, Iterator, Mapping, MutableMapping
from importlib.machinery import PathFinder
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from diffir.errors import ConfigError
from diffir.near_names import meant

if TYPE_CHECKING:
    from importlib.metadata import EntryPoint

T = TypeVar("T")
_logger = logging.getLogger(__name__)


class Extended(MutableMapping[str, T]):
    """A table of rows by name: those of diffir, then those that other packages declare."""

    def __init__(self, group: str, kind: str, own: Mapping[str, T], check: Callable[[str, Any], str]) -> None:
        """
        Args:
            group: group of the entry points, such as "diffir.metrics".
            kind: what a row is, for messages, such as "metric".
            own: rows of diffir.
            check: takes the name and what another package gives, and returns what is wrong with it, or "".
        """
        self._group = group
        self._kind = kind
        self._own = dict(own)
        self._check = check
        self._warned: set[str] = set()

    def __getitem__(self, name: str) -> T:
        """Return a row.

        Raises:
            KeyError: no row has this name.
            ConfigError: the row of another package cannot be loaded, or is not what it must be.
        """
        if name in self._own:
            return self._own[name]
        point = self.foreign()[name]
        where = f"the {self._kind} {name!r} of another package ({point.value})"
        try:
            row = point.load()
        except Exception as error:  # it is the code of somebody else
            raise ConfigError(f"{where} cannot be loaded: {' '.join(str(error).split())}") from error
        problem = self._check(name, row)
        if problem:
            raise ConfigError(f"{where} {problem}")
        return row

    def __contains__(self, name: object) -> bool:
        """Return whether a row has this name, without loading it."""
        return name in self._own or name in self.foreign()

    def __iter__(self) -> Iterator[str]:
        """Yield all names; a row of another package that cannot be loaded is left out with one warning."""
        yield from self._own
        for name in self.foreign():
            if name not in self._own and self._can_load(name):
                yield name

    def __len__(self) -> int:
        return len(list(iter(self)))

    def __setitem__(self, name: str, row: T) -> None:
        self._own[name] = row

    def __delitem__(self, name: str) -> None:
        del self._own[name]

    def find(self, name: str, where: str = "") -> T:
        """Return a row, or say which names there are.

        Raises:
            ConfigError: no row has this name, or it cannot be loaded; the message begins with ``where``.
        """
        if name not in self:
            opening = f"{where}: " if where else ""
            raise ConfigError(f"{opening}unknown {self._kind} {name!r}; {meant(name, list(self))}")
        return self[name]

    def _can_load(self, name: str) -> bool:
        try:
            self[name]
        except ConfigError as error:
            if name not in self._warned:
                _logger.warning("%s", error)
            self._warned.add(name)
            return False
        return True

    def foreign(self) -> "dict[str, EntryPoint]":
        """Return the entry points of other packages by name."""
        if not _may_be_declared(self._group):
            return {}
        from importlib.metadata import entry_points  # takes 20 ms, which most installations need not wait for

        return {point.name: point for point in entry_points(group=self._group)}


def _may_be_declared(group: str) -> bool:
    """Return whether ``importlib.metadata`` could find an entry point of this group; False is certain.

    This searches the folders of ``sys.path`` in half a millisecond. Packages that lie elsewhere, in an archive or with
    an import hook that lists its own packages, are left to ``importlib.metadata``.
    """
    if any(hasattr(finder, "find_distributions") for finder in sys.meta_path if finder is not PathFinder):
        return True
    section = f"[{group}]".encode()
    for place in sys.path:
        try:
            with os.scandir(place or ".") as entries:
                metadata = [entry.path for entry in entries if _holds_metadata(place, entry.name.lower())]
        except NotADirectoryError:  # an archive
            return True
        except OSError:  # importlib.metadata passes over such a folder, too
            continue
        if any(section in _content(Path(folder, "entry_points.txt")) for folder in metadata):
            return True
    return False


def _holds_metadata(place: str, name: str) -> bool:
    return name.endswith((".dist-info", ".egg-info")) or (name == "egg-info" and place.lower().endswith(".egg"))


def _content(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError:  # most packages have no such file
        return b""
