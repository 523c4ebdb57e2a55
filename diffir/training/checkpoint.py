"""Training states on disk: everything that a run needs to continue, with a hash that reveals damaged files.

In: a mapping of tensors and plain values. Out: ``training_states/stageS_STEP.state``, which holds the bytes of
``torch.save`` followed by their SHA-256 (32 bytes). A state is written under a temporary name, synced and renamed. If
the hash of a state is wrong, the previous state is loaded instead, with a warning.
"""

import hashlib
import io
import logging
from pathlib import Path
from typing import Any

import torch

from diffir.errors import TrainingError
from diffir.files import write_atomically

logger = logging.getLogger(__name__)
_DIGEST_BYTES = hashlib.sha256().digest_size


class Checkpoints:
    """The training states of one run; each stage has its own files."""

    def __init__(self, folder: Path, keep: int) -> None:
        self.folder = folder
        self.keep = keep

    def save(self, stage: int, step: int, state: dict[str, Any]) -> Path:
        """Write a state, and delete all states of this stage but the ``keep`` latest up to ``step``."""
        path = self.folder / f"stage{stage}_{step:08d}.state"
        # Write the state and its hash.
        written = io.BytesIO()
        torch.save({"stage": stage, "step": step, **state}, written)
        content = written.getbuffer()
        with write_atomically(path) as file:
            file.write(content)
            file.write(hashlib.sha256(content).digest())
        # Delete old states, and later ones: the run went back behind them because they were damaged.
        kept = [other for other in self.paths(stage) if other <= path][-self.keep :]
        for other in self.paths(stage):
            if other not in kept:
                other.unlink()
        return path

    def paths(self, stage: int) -> list[Path]:
        """Files of a stage's states, oldest first."""
        return sorted(self.folder.glob(f"stage{stage}_{'[0-9]' * 8}.state"))

    def load_latest(self, stage: int) -> dict[str, Any] | None:
        """Load the newest undamaged state of a stage; None if the stage has no states.

        Raises:
            TrainingError: the stage has states, and all of them are damaged.
        """
        for path in reversed(self.paths(stage)):
            try:
                return read_state(path)
            except TrainingError as error:
                logger.warning("%s: loading the state before it", error)
        if self.paths(stage):
            raise TrainingError(
                f"every state of stage {stage} in {self.folder} is damaged: delete them to start the stage again"
            )
        return None


def read_state(path: Path) -> dict[str, Any]:
    """Read a training state; its tensors are on the CPU.

    Raises:
        TrainingError: the file cannot be read, or its hash is wrong.
    """
    try:
        content = path.read_bytes()
    except OSError as error:
        raise TrainingError(f"cannot read {path} ({error.strerror})") from error
    content, digest = content[:-_DIGEST_BYTES], content[-_DIGEST_BYTES:]
    if hashlib.sha256(content).digest() != digest:
        raise TrainingError(f"{path} is damaged (its hash is wrong)")
    return torch.load(io.BytesIO(content), map_location="cpu", weights_only=True)
