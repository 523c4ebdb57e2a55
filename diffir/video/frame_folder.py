"""A folder that keeps the restored frames of an unfinished video, so that an interrupted run can be resumed.

In: frames one by one, and the settings of the run they belong to. Out: PNG files numbered from 0 without gaps; each
appears complete or not at all. A folder with frames of another run is refused, so that a video never mixes two runs.
"""

import json
import logging
import shutil
from collections.abc import Iterator, Mapping
from pathlib import Path

import cv2
import numpy as np

from diffir.errors import DiffIRError
from diffir.files import write_atomically

Fact = str | float | bool | list[float]

_FACTS = "run.json"
_PNG_SIZE = slice(16, 24)  # bytes of width and height in a PNG header
_COMPRESSION = 1  # 1 of 9, the fastest: these files are temporary
_SAME_NUMBERS = 1 / 255  # largest difference between restorations of one picture by one network on different machines

_logger = logging.getLogger(__name__)


class FrameFolder:
    """The restored frames of one run."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def claim(self, facts: Mapping[str, Fact]) -> None:
        """Start a run in this folder, or resume the run that has the same settings.

        Args:
            facts: settings under the names that an error message shows; lists of numbers may differ by rounding.

        Raises:
            DiffIRError: the folder holds frames of another run or other files, or it cannot be written.
        """
        try:
            if self.folder.exists() and any(self.folder.iterdir()):
                self._compare(facts)
                return
            with write_atomically(self.folder / _FACTS) as file:
                file.write(json.dumps(facts, indent=1).encode())
        except OSError as error:
            raise DiffIRError(f"{self.folder}: cannot be written ({error.strerror})") from error

    def _compare(self, facts: Mapping[str, Fact]) -> None:
        try:
            kept = json.loads((self.folder / _FACTS).read_text("utf-8"))
        except (FileNotFoundError, ValueError) as error:
            raise DiffIRError(
                f"{self.folder} exists and holds other files: remove it, or choose another output"
            ) from error
        for name, value in facts.items():
            if not _is_same(kept.get(name), value):
                difference = "" if isinstance(value, list) else f" ({kept.get(name)}, now {value})"
                raise DiffIRError(
                    f"{self.folder} holds frames of a run with another {name}{difference}: "
                    "repeat that run, remove the folder, or choose another output"
                )

    def count(self) -> int:
        """Number of frames that have been written, counted from 0 up to the first gap."""
        # A gap can only follow from a deleted file; frames behind it are restored again.
        found = {path.name for path in self.folder.glob("*.png")}
        return next(number for number in range(len(found) + 1) if self.frame(number).name not in found)

    def frame(self, number: int) -> Path:
        """Path of a frame, which may not exist yet."""
        return self.folder / f"{number:08d}.png"

    def frames(self, count: int) -> Iterator[Path]:
        """Paths of the first ``count`` frames."""
        return (self.frame(number) for number in range(count))

    def write(self, number: int, frame: np.ndarray) -> None:
        """Write a frame, H x W x 3 RGB, uint8 or uint16."""
        fast = [cv2.IMWRITE_PNG_COMPRESSION, _COMPRESSION]
        content = cv2.imencode(".png", cv2.cvtColor(frame, cv2.COLOR_RGB2BGR), fast)[1]
        try:
            with write_atomically(self.frame(number)) as file:
                file.write(content.data)
        except OSError as error:
            raise DiffIRError(f"{self.folder}: cannot be written ({error.strerror})") from error

    def size(self) -> tuple[int, int]:
        """Width and height of the frames in pixels."""
        with self.frame(0).open("rb") as file:
            head = file.read(_PNG_SIZE.stop)[_PNG_SIZE]
        return int.from_bytes(head[:4], "big"), int.from_bytes(head[4:], "big")

    def leave(self, total: int) -> None:
        """End an unfinished run: log how many of its ``total`` frames are kept, and remove a folder without frames."""
        count = self.count()
        if count:
            _logger.info("%d of %d frames are kept in %s; the same command resumes there", count, total, self.folder)
        else:
            self.remove()

    def remove(self) -> None:
        """Delete the folder and everything in it."""
        shutil.rmtree(self.folder, ignore_errors=True)


def _is_same(kept: Fact | None, value: Fact) -> bool:
    if not isinstance(value, list):
        return kept == value
    return isinstance(kept, list) and len(kept) == len(value) and bool(np.allclose(kept, value, 0, _SAME_NUMBERS))
