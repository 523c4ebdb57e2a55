"""Let several processes share one output folder without restoring a file twice.

In: the targets of a run. Out: claims. A process claims a target before it restores the file, and another one then
skips it. A claim is a lock of the operating system on a hidden file beside the target, so that it ends with the
process, however that ends. A target that another process has written since the run began is skipped as well.
"""

import hashlib
import os
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path

from diffir.batch.jobs import Job


class Claims:
    """The claims of one run; its methods may be called from several threads."""

    def __init__(self, jobs: Iterable[Job]) -> None:
        self._held: dict[int, tuple[Path, int]] = {}
        self._before: dict[Path, tuple[int, int]] = {}
        for folder in {job.target.parent for job in jobs}:
            with suppress(OSError), os.scandir(folder) as entries:
                self._before.update(
                    (folder / entry.name, _signature(entry.stat())) for entry in entries if entry.is_file()
                )

    def is_new(self, target: Path) -> bool:
        """Return whether the target was written since the run began, which only another process can have done."""
        try:
            now = _signature(target.stat())
        except OSError:
            return False
        return now[1] > 0 and self._before.get(target) != now

    def take(self, index: int, target: Path) -> bool:
        """Claim the target of a job; False if another process has claimed it.

        Where the system knows no locks, or the folder cannot be written, every claim succeeds.
        """
        path = target.parent / f".diffir-{hashlib.sha256(target.name.encode('utf-8', 'replace')).hexdigest()[:16]}.lock"
        while True:
            try:
                path.parent.mkdir(parents=True, exist_ok=True)
                descriptor = os.open(path, os.O_CREAT | os.O_RDWR, 0o666)
            except OSError:
                return True
            if not _lock(descriptor):
                os.close(descriptor)
                return False
            # The process that held the lock before may have deleted the file in the meantime.
            with suppress(OSError):
                if os.path.samestat(os.fstat(descriptor), path.stat()):
                    self._held[index] = path, descriptor
                    return True
            os.close(descriptor)

    def release(self, index: int) -> None:
        """Give up the claim of a job, if there is one."""
        path, descriptor = self._held.pop(index, (None, -1))
        if path is None:
            return
        if os.name == "nt":  # Windows deletes no open file
            os.close(descriptor)
        with suppress(OSError):
            path.unlink()
        if os.name != "nt":
            os.close(descriptor)

    def release_all(self) -> None:
        """Give up every claim, at the end of the run."""
        for index in list(self._held):
            self.release(index)


def _signature(stat: os.stat_result) -> tuple[int, int]:
    return stat.st_mtime_ns, stat.st_size


def _lock(descriptor: int) -> bool:
    """Lock a file; False if another process has locked it."""
    try:
        if os.name == "nt":
            import msvcrt

            msvcrt.locking(descriptor, msvcrt.LK_NBLCK, 1)  # type: ignore[attr-defined]
        else:
            import fcntl

            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except (BlockingIOError, PermissionError):
        return False
    except OSError:  # a file system without locks
        return True
    return True
