"""Training states on disk: everything a run needs to go on, written so that no torn file can pass for a whole one.

In: a mapping of tensors and plain values. Out: ``training_states/stageS_STEP.state``: what ``torch.save`` writes, and
32 bytes of its SHA-256 behind it. A state is written under a temporary name, synced and renamed; one whose hash is
wrong is passed over for the one before, with a warning.
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
    """The training states of one run; each stage keeps its own."""

    def __init__(self, folder: Path, keep: int) -> None:
        self.folder = folder
        self.keep = keep

    def save(self, stage: int, step: int, state: dict[str, Any]) -> Path:
        """Write a state; delete this stage's oldest beyond ``keep``, and later ones, which were damaged."""
        path = self.folder / f"stage{stage}_{step:08d}.state"
        written = io.BytesIO()
        torch.save({"stage": stage, "step": step, **state}, written)
        content = written.getbuffer()
        with write_atomically(path) as file:
            file.write(content)
            file.write(hashlib.sha256(content).digest())
        kept = [other for other in self.paths(stage) if other <= path][-self.keep :]
        for other in self.paths(stage):
            if other not in kept:
                other.unlink()
        return path

    def paths(self, stage: int) -> list[Path]:
        """States of a stage on disk, oldest first."""
        return sorted(self.folder.glob(f"stage{stage}_{'[0-9]' * 8}.state"))

    def load_latest(self, stage: int) -> dict[str, Any] | None:
        """The newest state of a stage that is whole; None if there is none at all.

        Raises:
            TrainingError: there are states, and all are damaged.
        """
        for path in reversed(self.paths(stage)):
            try:
                return read_state(path)
            except TrainingError as error:
                logger.warning("%s: going back to the one before", error)
        if self.paths(stage):
            raise TrainingError(
                f"no state of stage {stage} in {self.folder} is whole: delete them to start the stage anew"
            )
        return None


def read_state(path: Path) -> dict[str, Any]:
    """A training state, its tensors on the CPU.

    Raises:
        TrainingError: it cannot be read, or is not what was written.
    """
    try:
        content = path.read_bytes()
    except OSError as error:
        raise TrainingError(f"cannot read {path} ({error.strerror})") from error
    content, digest = content[:-_DIGEST_BYTES], content[-_DIGEST_BYTES:]
    if hashlib.sha256(content).digest() != digest:
        raise TrainingError(f"{path} is damaged (its hash is wrong)")
    return torch.load(io.BytesIO(content), map_location="cpu", weights_only=True)
