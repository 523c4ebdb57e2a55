"""Training states on disk: everything a run needs to go on, written so that no half file can pass for a whole one.

In: a mapping of tensors and plain values. Out: ``training_states/stageS_STEP.state``, read with ``weights_only=True``.
A state is written under a temporary name, synced and renamed; one that cannot be read is passed over for the last
that can.
"""

import logging
import pickle
import zipfile
from pathlib import Path
from typing import Any

import torch

from diffir.files import write_atomically

logger = logging.getLogger(__name__)


class Checkpoints:
    """The training states of one run; each stage keeps its own."""

    def __init__(self, folder: Path, keep: int) -> None:
        self.folder = folder
        self.keep = keep

    def save(self, stage: int, step: int, state: dict[str, Any]) -> Path:
        """Write a state and delete this stage's oldest beyond ``keep``."""
        path = self.folder / f"stage{stage}_{step:08d}.state"
        with write_atomically(path) as file:
            torch.save({"stage": stage, "step": step, **state}, file)
        for old in self.paths(stage)[: -self.keep]:
            old.unlink()
        return path

    def paths(self, stage: int) -> list[Path]:
        """States of a stage on disk, oldest first."""
        return sorted(self.folder.glob(f"stage{stage}_{'[0-9]' * 8}.state"))

    def load_latest(self, stage: int) -> dict[str, Any] | None:
        """The newest state of a stage that can be read, or None."""
        for path in reversed(self.paths(stage)):
            try:
                return torch.load(path, map_location="cpu", weights_only=True)
            except (OSError, RuntimeError, EOFError, KeyError, pickle.UnpicklingError, zipfile.BadZipFile) as error:
                logger.warning("cannot read %s (%s): going back to the one before", path, type(error).__name__)
        return None
