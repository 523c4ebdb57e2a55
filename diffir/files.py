"""Files that appear complete or not at all, whatever happens while they are written; and paths the system refuses.

In: a path. Out: a stream whose bytes get the path's name only once they are all on the disk; until then an earlier
file of that name stays as it was. Every result that diffir leaves behind is written through here.
"""

import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO


@contextmanager
def write_atomically(path: str | Path) -> Iterator[BinaryIO]:
    """``with write_atomically(path) as file: file.write(content)``; makes missing folders.

    The bytes go to a temporary file of the same folder, which takes the name when the block ends well and vanishes
    when it raises. A link is followed; a device or a pipe, such as /dev/null, is written to and never replaced.

    Raises:
        OSError: the folder or the disk refuses; it names the file.
    """
    path = Path(path)
    if path.exists() and not path.is_file():
        with path.open("wb") as file:
            yield file
        return
    target = path.resolve()
    target.parent.mkdir(parents=True, exist_ok=True)
    temporary = target.with_name(f".diffir-{secrets.token_hex(6)}.tmp")  # short: a long name stays a legal one
    try:
        with temporary.open("xb") as file:  # not tempfile, whose files other users cannot read
            yield file
            file.flush()
            os.fsync(file.fileno())  # so that after a power cut the name never stands for half a file
        temporary.replace(target)
    except OSError as error:
        error.filename = error.filename or str(path)  # a full disk does not say which file it refuses
        raise
    finally:
        temporary.unlink(missing_ok=True)


def why_refused(path: Path) -> str:
    """Why the system does not even say what is at a path, such as "Permission denied"; empty where it does.

    Ask it before ``exists``, ``is_file`` and ``is_dir``, which in these cases raise or not, as the Python version goes.
    """
    try:
        path.stat()
    except (FileNotFoundError, NotADirectoryError):
        return ""
    except (OSError, ValueError) as error:
        return (error.strerror if isinstance(error, OSError) else None) or str(error)
    return ""
