"""Write files so that they appear complete or not at all, and find out why the system denies access to a path.

In: a path. Out: a stream. Its bytes get the name of the path only when all of them are on the disk; until then, an
earlier file of that name stays unchanged. All results of diffir are written with ``write_atomically``.
"""

import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO


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
    # Write under a temporary name, then rename.
    target = path.resolve()
    target.parent.mkdir(parents=True, exist_ok=True)
    temporary = target.with_name(f".diffir-{secrets.token_hex(6)}.tmp")  # no longer than a long legal name
    try:
        with temporary.open("xb") as file:  # tempfile would create a file that other users cannot read
            yield file
            file.flush()
            os.fsync(file.fileno())  # otherwise the name could belong to an incomplete file after a power cut
        temporary.replace(target)
    except OSError as error:
        error.filename = error.filename or str(path)  # the error of a full disk names no file
        raise
    finally:
        temporary.unlink(missing_ok=True)


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
