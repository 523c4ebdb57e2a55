"""Write files so that they appear complete or not at all, and find out why the system denies access to a path.

In: a path. Out: a stream. Its bytes get the name of the path only when all of them are on the disk; until then, an
earlier file of that name stays unchanged. All results of diffir are written with ``write_atomically``. A process that
is killed while it writes leaves a temporary file, which the next process that writes into the folder removes. The lock
of the operating system on each temporary file (flock) tells whether its process still runs.
"""

import os
import re
import secrets
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import BinaryIO

try:
    import fcntl
except ImportError:  # Windows; what a kill leaves there stays
    fcntl = None  # type: ignore[assignment]

_TEMPORARY = re.compile(r"\.diffir-[0-9a-f]{12}\.tmp")
_swept: set[Path] = set()
"""Folders that this process has searched for files of killed processes."""


@contextmanager
def write_atomically(path: str | Path) -> Iterator[BinaryIO]:
    """Open a file for binary writing, as in ``with write_atomically(path) as file: file.write(content)``.

    Missing folders are created. The bytes go to a temporary file in the same folder, which is renamed at the end of the
    block, or removed if the block raises. Symbolic links are followed. A device or a pipe, such as /dev/null, is
    written directly and never replaced.

    Raises:
        OSError: the folder or the disk cannot be written; the error names the file.
    """
    # Write to devices and pipes directly.
    path = Path(path)
    if path.exists() and not path.is_file():
        with path.open("wb") as file:
            yield file
        return
    # Write under a temporary name, then rename. The lock is held until the file has its name.
    target = path.resolve()
    target.parent.mkdir(parents=True, exist_ok=True)
    _remove_abandoned(target.parent)
    temporary, opened = _opened_temporary(target.parent)
    try:
        with opened as file:
            yield file
            file.flush()
            os.fsync(file.fileno())  # otherwise the name could belong to an incomplete file after a power cut
            if fcntl is not None:
                temporary.replace(target)
        if fcntl is None:  # Windows does not rename an open file
            temporary.replace(target)
    except OSError as error:
        error.filename = error.filename or str(path)  # the error of a full disk names no file
        raise
    finally:
        temporary.unlink(missing_ok=True)


def _opened_temporary(folder: Path) -> tuple[Path, BinaryIO]:
    """Create a temporary file, and lock it where the system and its disk can do that."""
    while True:
        temporary = folder / f".diffir-{secrets.token_hex(6)}.tmp"  # no longer than a long legal name
        file = temporary.open("xb")  # tempfile would create a file that other users cannot read
        # Between the two calls another process may have taken the file for an abandoned one.
        if fcntl is None or (_is_locked(file.fileno()) is not False and _is_same(temporary, file.fileno())):
            return temporary, file
        file.close()
        temporary.unlink(missing_ok=True)


def _remove_abandoned(folder: Path) -> None:
    """Remove temporary files of this user that no process holds, once for each folder and process."""
    if fcntl is None or folder in _swept:
        return
    _swept.add(folder)
    with suppress(OSError), os.scandir(folder) as entries:
        found = [Path(entry.path) for entry in entries if _TEMPORARY.fullmatch(entry.name)]
        for path in found:
            with suppress(OSError):  # of another user, or gone meanwhile
                _remove_if_abandoned(path)


def _remove_if_abandoned(path: Path) -> None:
    descriptor = os.open(path, os.O_RDWR | os.O_NOFOLLOW | os.O_NONBLOCK)
    try:
        is_ours = os.fstat(descriptor).st_uid == os.geteuid()
        if is_ours and path.is_file() and _is_locked(descriptor) and _is_same(path, descriptor):
            path.unlink()
    finally:
        os.close(descriptor)


def _is_locked(descriptor: int) -> bool | None:
    """Try to lock an open file; return False if another process holds it, and None if its disk has no locks."""
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except OSError:
        return None
    return True


def _is_same(path: Path, descriptor: int) -> bool:
    """Return whether the path is still that of an open file."""
    with suppress(FileNotFoundError):
        return os.path.samestat(path.stat(), os.fstat(descriptor))
    return False


def why_refused(path: Path) -> str:
    """Return why the system denies information about a path, such as "Permission denied"; empty if it does not.

    Call this before ``exists``, ``is_file`` and ``is_dir``: in these cases they raise or return False, depending on the
    version of Python.
    """
    try:
        path.stat()
    except (FileNotFoundError, NotADirectoryError):
        return ""
    except (OSError, ValueError) as error:
        return (error.strerror if isinstance(error, OSError) else None) or str(error)
    return ""
