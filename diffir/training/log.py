"""The run's record: one JSON object a line, a progress bar for people, TensorBoard where it is installed.

In: numbers of a step. Out: ``train_log.jsonl`` in the run's folder; units are in the names (``images_per_s``).
"""

import importlib.util
import json
import logging
import sys
import time
from pathlib import Path
from types import TracebackType
from typing import Any

import torch
from torch import Tensor
from tqdm import tqdm

logger = logging.getLogger(__name__)


class Meter:
    """Means of scalars and the pace since it was last read; sums stay on the device until then."""

    def __init__(self) -> None:
        self.reset()

    def reset(self) -> None:
        """Forget everything; the clock starts now."""
        self._sums: dict[str, Tensor] = {}
        self._counts: dict[str, int] = {}
        self._images = 0
        self._started = time.perf_counter()

    def add(self, terms: dict[str, Tensor], *, images: int) -> None:
        """One step's scalars."""
        for name, value in terms.items():
            self._sums[name] = self._sums.get(name, torch.zeros_like(value)) + value.detach()
            self._counts[name] = self._counts.get(name, 0) + 1
        self._images += images

    def read(self) -> dict[str, float]:
        """Means and ``images_per_s``; the meter starts anew."""
        means = {name: (total / self._counts[name]).item() for name, total in self._sums.items()}
        means["images_per_s"] = self._images / (time.perf_counter() - self._started)
        self.reset()
        return means


class RunLog:
    """Writes what happens while a stage trains."""

    def __init__(self, folder: Path, *, stage: int, total_iter: int, first_step: int, use_tb_logger: bool) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self.stage = stage
        self._file = (folder / "train_log.jsonl").open("a", encoding="utf-8")
        self._board = _tensorboard(folder) if use_tb_logger else None
        self._bar = tqdm(
            total=total_iter,
            initial=first_step,
            desc=f"stage {stage}",
            unit="step",
            file=sys.stderr,
            disable=None,
            dynamic_ncols=True,
        )

    def __enter__(self) -> "RunLog":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._bar.close()
        self._file.close()
        if self._board is not None:
            self._board.close()

    def advance(self) -> None:
        """One step done."""
        self._bar.update()

    def record(self, step: int, event: str, values: dict[str, Any]) -> None:
        """Append a record of a step: ``event`` is "train" or "validation"."""
        line = {"time": round(time.time(), 3), "stage": self.stage, "step": step, "event": event, **values}
        self._file.write(json.dumps(line) + "\n")
        self._file.flush()
        text = ", ".join(f"{key} {value:.4g}" for key, value in values.items() if isinstance(value, float))
        with tqdm.external_write_mode(file=sys.stderr):
            logger.info("stage %d, step %d, %s: %s", self.stage, step, event, text)
        if self._board is not None:
            for key, value in values.items():
                if isinstance(value, int | float):
                    self._board.add_scalar(f"stage{self.stage}/{event}/{key}", value, step)


def _tensorboard(folder: Path) -> Any:
    if importlib.util.find_spec("tensorboard") is None:
        return None
    from torch.utils.tensorboard import SummaryWriter

    return SummaryWriter(str(folder / "tb_logger"))
