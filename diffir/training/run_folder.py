"""The folder of a run: paths of its files, and the check that a resumed run has the options it was started with.

In: the options. Out: paths below ``experiments/NAME/``. A resumed run must keep the options of its start, because its
records describe these; only options that do not change the result may change.
"""

import hashlib
import os
import shutil
from dataclasses import asdict
from pathlib import Path
from pprint import pformat
from typing import Any

from diffir.config import RunConfig, TrainConfig
from diffir.config_file import dump_config, load_config
from diffir.data.photo_sources import open_photos
from diffir.degradations.recipes import build_recipe
from diffir.errors import TrainingError
from diffir.files import write_atomically
from diffir.system import System
from diffir.training.checkpoint import Checkpoints
from diffir.training.teacher import teacher_file
from diffir.weights.fingerprint import fingerprint

# Beginnings of the option keys that may change when a run is resumed, because they do not change its weights.
_MAY_CHANGE: tuple[str, ...] = (
    "device",
    "logger.",
    "val.save_images",
    "val.strip_pixels",
    "path.",
    "run_stages",
    "licence",
    "training_data",
    "datasets.val.dataroot_",
    "datasets.train.dataroot_gt",
    "datasets.train.dataroot_lq",
    "datasets.train.dataroot_mask",
    "datasets.train.num_worker_per_gpu",
    "datasets.train.cache_images",
    "datasets.train.teacher.file",
    "datasets.train.teacher.licence",
)
# Validation may change, too, unless its scores decide about the weights (``_depends_on_validation``).
_VALIDATION: tuple[str, ...] = ("val.", "datasets.val")


class RunFolder:
    """Paths of one run's files, and the options it was started with."""

    def __init__(self, config: RunConfig, system: System) -> None:
        self.config = config
        self.system = system
        self.path = Path(config.path.experiments_root) / config.name
        self.options = self.path / "options.yml"
        self.training_set = self.path / "training_set.txt"
        self.checkpoints = Checkpoints(self.path / "training_states", config.logger.keep_checkpoints)

    def weights(self, stage: str) -> Path:
        """Path of the finished weights of a stage."""
        return self.path / "models" / f"{self.config.name}_stage{self.config.number(stage)}.safetensors"

    def images(self, stage: str, step: int) -> Path:
        """Folder of a step's validation pictures."""
        return self.path / "visualization" / f"stage{self.config.number(stage)}_{step:08d}"

    def open(self, *, auto_resume: bool) -> None:
        """Check that the run may start or continue in this folder; nothing on disk changes.

        Raises:
            TrainingError: the folder holds a run and ``auto_resume`` is off, or it was started with other settings.
        """
        if not self.options.exists():
            return
        if not auto_resume:
            raise TrainingError(
                f"{self.path} holds a run already: continue it with --auto_resume, or choose another name"
            )

        # Compare the options; those of a stage that has not started yet may change, except for the first one.
        later = list(self.config.stages)[1:]
        free = (*_MAY_CHANGE, *(f"stages.{stage}." for stage in later if not self._has_started(stage)))
        if not any(_depends_on_validation(self.config.stages[stage]) for stage in self.config.run_stages):
            free += _VALIDATION
        recorded = load_config(self.options, systems={self.system.name: self.system})
        before, now = _flat(asdict(recorded)), _flat(asdict(self.config))
        changed = [key for key in sorted(before | now) if before.get(key) != now.get(key) and not key.startswith(free)]
        if changed:
            listing = ", ".join(f"{key} (was {before.get(key)})" for key in changed)
            raise TrainingError(f"{self.path} was started with other settings: {listing}; set them back or change name")

        # Compare the photos and the degradation.
        if self.training_set.is_file() and self.training_set.read_text("utf-8") != self.training_set_now():
            raise TrainingError(
                f"{self.path} was started with other photos, another degradation or another teacher: "
                f"{self.training_set} describes them"
            )

    def delete(self) -> None:
        """Delete the folder of a run; a folder without ``options.yml`` stays."""
        if self.options.is_file():
            shutil.rmtree(self.path)

    def record_options(self) -> None:
        """Write the resolved options and a description of the training photos and their degradation."""
        texts = {self.training_set: self.training_set_now(), self.options: dump_config(self.config)}
        for path, text in texts.items():
            with write_atomically(path) as file:
                file.write(text.encode())

    def training_set_now(self) -> str:
        """A description of the training photos, their degradation and the teacher."""
        train = self.config.datasets.train
        photos = open_photos(
            train.dataroot_gt, "dataroot_gt", meta_info_file=train.meta_info_file, recursive=train.recursive
        )
        # A hash shows that names changed without a list of perhaps a million of them.
        names = hashlib.sha256(os.fsencode("\n".join(photos.names))).hexdigest()
        steps = pformat(build_recipe(train.degradation).steps if train.degradation else (), width=118)
        lines = [f"{len(photos.names)} photos, SHA-256 of their names {names}", steps]
        if train.teacher is not None:
            lines.append(f"teacher, SHA-256 of its weights {fingerprint(teacher_file(train.teacher, self.system))}")
        return "".join(f"{line}\n" for line in lines)

    def _has_started(self, stage: str) -> bool:
        return self.weights(stage).exists() or bool(self.checkpoints.paths(self.config.number(stage)))


def _depends_on_validation(learning: TrainConfig) -> bool:
    """True if validation scores change the training or decide which weights are published."""
    return bool(learning.collapse_margin or learning.patience or learning.publish == "best")


def _flat(values: dict[str, Any], prefix: str = "") -> dict[str, Any]:
    """Flatten nested mappings to one mapping with dotted keys."""
    flat: dict[str, Any] = {}
    for key, value in values.items():
        flat |= _flat(value, f"{prefix}{key}.") if isinstance(value, dict) else {f"{prefix}{key}": value}
    return flat
