"""Training states on disk: everything a run needs to go on, written so that no half file can pass for a whole one.

In: a mapping of tensors and plain values. Out: ``training_states/stageS_STEP.state``, read with ``weights_only=True``.
A state is written under a temporary name, synced and renamed; one that cannot be read is passed over for the last
that can.
"""

import logging
import os
import pickle
import re
import zipfile
from pathlib import Path
from typing import Any

import torch

logger = logging.getLogger(__name__)

_NAME = re.compile(r"^stage(\d)_(\d+)\.state$")


class Checkpoints:
    """The training states of one run."""

    def __init__(self, folder: Path, keep: int) -> None:
        self.folder = folder
        self.keep = max(keep, 1)

    def save(self, stage: int, step: int, state: dict[str, Any]) -> Path:
        """Write a state and delete the oldest beyond ``keep``."""
        self.folder.mkdir(parents=True, exist_ok=True)
        path = self.folder / f"stage{stage}_{step:08d}.state"
        temporary = path.with_suffix(".writing")
        with temporary.open("wb") as file:
            torch.save({"stage": stage, "step": step, **state}, file)
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
        for old in self.paths()[: -self.keep]:
            old.unlink()
        return path

    def paths(self) -> list[Path]:
        """States on disk, oldest first."""
        found = [path for path in self.folder.glob("*.state") if _NAME.match(path.name)]
        return sorted(found, key=lambda path: tuple(map(int, _NAME.match(path.name).groups())))  # type: ignore[union-attr]

    def load_latest(self) -> dict[str, Any] | None:
        """The newest state that can be read, or None."""
        for path in reversed(self.paths()):
            try:
                return torch.load(path, map_location="cpu", weights_only=True)
            except (OSError, RuntimeError, EOFError, KeyError, pickle.UnpicklingError, zipfile.BadZipFile) as error:
                logger.warning("cannot read %s (%s): going back to the one before", path, type(error).__name__)
        return None
