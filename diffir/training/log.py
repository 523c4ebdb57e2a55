"""The log of a run: one JSON object per line, a progress bar, TensorBoard files and other loggers.

In: the numbers of a step. Out: ``train_log.jsonl`` in the run's folder; names contain units (``images_per_s``). A
resumed run first cuts the steps that it will repeat, so that each step stands in the log once. If several processes
train, only the first one writes.
"""

import json
import logging
import sys
import time
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path
from types import TracebackType
from typing import Any

import numpy as np
import torch
from torch import Tensor
from tqdm import tqdm

from diffir.files import write_atomically
from diffir.training.loggers import LOGGERS, has_tensorboard

logger = logging.getLogger(__name__)
# Values that the progress bar shows, if a step has them.
_ON_THE_BAR = ("l_pix", "l_abs", "images_per_s", "psnr", "prior_gap")


class Meter:
    """Means of scalars, and images per second, since the last reading; sums stay on the device until then."""

    def __init__(self) -> None:
        self.reset()

    def reset(self) -> None:
        """Clear all sums and start the clock again."""
        self._sums: dict[str, Tensor] = {}
        self._counts: dict[str, int] = {}
        self._images = 0
        self._started = time.perf_counter()

    def add(self, terms: dict[str, Tensor], *, images: int) -> None:
        """Add the scalars of one step, which processed ``images`` images."""
        for name, value in terms.items():
            self._sums[name] = self._sums.get(name, torch.zeros_like(value)) + value.detach()
            self._counts[name] = self._counts.get(name, 0) + 1
        self._images += images

    def read(self) -> dict[str, float]:
        """Return the means and ``images_per_s``, and reset the meter."""
        means = {name: (total / self._counts[name]).item() for name, total in self._sums.items()}
        means["images_per_s"] = self._images / (time.perf_counter() - self._started)
        self.reset()
        return means


class RunLog:
    """Writes the log of one stage to a file, the progress bar, TensorBoard and loggers of other packages."""

    def __init__(
        self,
        folder: Path,
        *,
        stage: int,
        total_iter: int,
        first_step: int,
        use_tb_logger: bool,
        loggers: Sequence[str] = (),
        is_first: bool = True,
    ) -> None:
        """
        Args:
            loggers: names of ``LOGGERS`` that also receive every record and picture.
        """
        folder.mkdir(parents=True, exist_ok=True)
        self.folder = folder
        self.stage = stage
        self.is_first = is_first
        self._open = ExitStack()
        names = [*(["tensorboard"] if use_tb_logger and has_tensorboard() else []), *loggers]
        self._loggers = [LOGGERS.find(name, "loggers")(folder, stage) for name in names] if is_first else []
        for follower in self._loggers:
            self._open.callback(follower.close)
        if is_first:
            path = folder / "train_log.jsonl"
            cut_log(path, stage=stage, step=first_step)
            self._file = self._open.enter_context(path.open("a", encoding="utf-8"))
        self._bar = self._open.enter_context(
            tqdm(
                total=total_iter,
                initial=first_step,
                desc=f"stage {stage}",
                unit="step",
                file=sys.stderr,
                disable=None if is_first and sys.stderr is not None else True,  # None: show the bar on terminals only
                dynamic_ncols=True,
            )
        )
        self._shown: dict[str, str] = {}

    def __enter__(self) -> "RunLog":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._open.close()

    def advance(self) -> None:
        """Move the progress bar on by one step."""
        self._bar.update()

    def record(self, step: int, event: str, values: dict[str, Any]) -> None:
        """Append the values of a step to the log; ``event`` is "train" or "validation"."""
        if not self.is_first:
            return
        # Write the line at once, so that a killed run leaves a complete log.
        line = {"time": round(time.time(), 3), "stage": self.stage, "step": step, "event": event, **values}
        self._file.write(json.dumps(line) + "\n")
        self._file.flush()
        # Show the numbers on the terminal and behind the progress bar.
        text = ", ".join(f"{key} {value:.4g}" for key, value in values.items() if isinstance(value, float))
        with tqdm.external_write_mode(file=sys.stderr):
            logger.info("stage %d, step %d, %s: %s", self.stage, step, event, text)
        self._shown |= {key: f"{values[key]:.4g}" for key in _ON_THE_BAR if key in values}
        self._bar.set_postfix(self._shown, refresh=False)
        for follower in self._loggers:
            follower.record(step, event, values)

    def picture(self, step: int, name: str, pixels: np.ndarray) -> None:
        """Give a validation picture, H x W x 3 uint8 RGB, to TensorBoard and the other loggers."""
        for follower in self._loggers:
            follower.picture(step, name, pixels)


def cut_log(path: Path, *, stage: int, step: int) -> None:
    """Remove what a killed run logged of a stage after the step at which it resumes, and a line that is incomplete.

    A run that begins, at step 0, has logged nothing yet, so even its step 0 is removed. Other lines stay as they are.
    """
    if not path.is_file():
        return
    with path.open("rb") as log:
        lines = list(log)
    kept = [line for line in lines if line.endswith(b"\n") and not _is_repeated(line, stage, step)]
    if kept != lines:
        with write_atomically(path) as file:
            file.writelines(kept)


def _is_repeated(line: bytes, stage: int, step: int) -> bool:
    try:
        entry = json.loads(line)
        return entry["stage"] == stage and (entry["step"] > step or step == 0)
    except (ValueError, TypeError, KeyError, RecursionError):  # somebody else's line
        return False
