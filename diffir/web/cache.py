"""The folder of a running page, for uploads, results and views; it is removed when the page ends.

In: the folder of diffir's caches. Out: a new folder that only this user can read. A page that was killed leaves its
folder, which the next start removes: the lock on a file in it tells whether its process still runs.
"""

import os
import secrets
import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from diffir.public_files import cache_folder

try:
    import fcntl
except ImportError:  # Windows, where an open file cannot be removed, which tells the same
    fcntl = None  # type: ignore[assignment]

_LOCK = "page.lock"


@contextmanager
def page_cache(parent: Path | None = None) -> Iterator[Path]:
    """Make the folder of a page, and remove it with everything in it at the end of the block.

    Args:
        parent: where the folder is made; by default ``web`` in the folder of diffir's caches.
    """
    parent = cache_folder() / "web" if parent is None else parent
    parent.mkdir(parents=True, exist_ok=True)
    _remove_abandoned(parent)
    folder = (parent / secrets.token_hex(8)).resolve()
    folder.mkdir(mode=0o700)
    try:
        with (folder / _LOCK).open("wb") as lock:
            _take(lock.fileno())
            yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _remove_abandoned(parent: Path) -> None:
    """Remove folders of pages whose process has ended without removing them."""
    for folder in parent.iterdir():
        with suppress(OSError):  # held by another page, or gone meanwhile
            if fcntl is None:
                (folder / _LOCK).unlink()
                shutil.rmtree(folder, ignore_errors=True)
                continue
            with (folder / _LOCK).open("rb") as lock:
                _take(lock.fileno())
                shutil.rmtree(folder, ignore_errors=True)


def _take(descriptor: int) -> None:
    if fcntl is not None:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)


def link_or_copy(source: Path, target: Path) -> None:
    """Give a file a second name, or copy it where the disk has no hard links."""
    target.parent.mkdir(parents=True, exist_ok=True)
    try:
        os.link(source, target)
    except OSError:
        shutil.copyfile(source, target)
