"""Programs that follow a run beside its own log: TensorBoard, and loggers of other packages.

In: the name of a logger and the folder of a stage. Out: an object that receives every record and picture. Loggers of
other packages join through an entry point of the group ``diffir.loggers`` and are chosen by ``logger.loggers``.
"""

import importlib.util
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from diffir.extensions import Extended


class Logger(Protocol):
    """What a logger does with the records of one stage."""

    def record(self, step: int, event: str, values: Mapping[str, Any]) -> None:
        """Take the values of a step by name; ``event`` is "train" or "validation"."""

    def picture(self, step: int, name: str, pixels: np.ndarray) -> None:
        """Take a restored validation photo, H x W x 3 uint8 RGB."""

    def close(self) -> None:
        """Finish, at the end of the stage or when it fails."""


OpenLogger = Callable[[Path, int], Logger]
"""Opens a logger: (folder of the run, number of the stage) -> logger."""


class TensorBoard:
    """Writes curves and pictures for TensorBoard to ``tb_logger`` in the folder of the run."""

    def __init__(self, folder: Path, stage: int) -> None:
        from torch.utils.tensorboard import SummaryWriter

        self._stage = stage
        self._board = SummaryWriter(str(folder / "tb_logger"))

    def record(self, step: int, event: str, values: Mapping[str, Any]) -> None:
        """Add a point to the curve of each number."""
        for key, value in values.items():
            if isinstance(value, int | float):
                self._board.add_scalar(f"stage{self._stage}/{event}/{key}", value, step)

    def picture(self, step: int, name: str, pixels: np.ndarray) -> None:
        """Show the photo under its name."""
        self._board.add_image(f"stage{self._stage}/{name}", pixels, step, dataformats="HWC")

    def close(self) -> None:
        """Write what is waiting, and close the files."""
        self._board.close()


def has_tensorboard() -> bool:
    """Return whether the package tensorboard is installed."""
    return importlib.util.find_spec("tensorboard") is not None


def _what_is_wrong(name: str, opener: object) -> str:
    return "" if callable(opener) else "must be a class or function that takes a folder and the number of a stage"


LOGGERS: Extended[OpenLogger] = Extended("diffir.loggers", "logger", {"tensorboard": TensorBoard}, _what_is_wrong)
"""How loggers are opened, by name."""
