"""The folder of a run: what lies where, and whether the options it was begun with are still those of today.

In: the options. Out: paths below ``experiments/NAME/``. A resumed run must go on with the settings it was begun with,
or its record would lie; only what does not change the result may change.
"""

import hashlib
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

# What may differ between the start of a run and its resumption: where and how it is watched, not what it computes.
# Where validation decides (``_is_guarded``), what validation is made of is not free.
_FREE: tuple[str, ...] = (
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
)
_FREE_UNGUARDED: tuple[str, ...] = ("val.", "datasets.val")


class RunFolder:
    """Paths and record of one run."""

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
        """Folder of the validation pictures of a step."""
        return self.path / "visualization" / f"stage{self.config.number(stage)}_{step:08d}"

    def open(self, *, auto_resume: bool) -> None:
        """Refuse to go on where going on would be wrong; changes nothing on disk.

        Raises:
            TrainingError: a run is here and ``auto_resume`` is off, or it was begun with other settings.
        """
        if not self.options.exists():
            return
        if not auto_resume:
            raise TrainingError(f"{self.path} holds a run already: go on with --auto_resume, or choose another name")
        # Every stage but the first may be planned anew until it begins.
        later = list(self.config.stages)[1:]
        free = (*_FREE, *(f"stages.{stage}." for stage in later if not self._has_begun(stage)))
        if not any(_is_guarded(self.config.stages[stage]) for stage in self.config.run_stages):
            free += _FREE_UNGUARDED
        recorded = load_config(self.options, systems={self.system.name: self.system})
        before, now = _flat(asdict(recorded)), _flat(asdict(self.config))
        changed = [key for key in sorted(before | now) if before.get(key) != now.get(key) and not key.startswith(free)]
        if changed:
            listing = ", ".join(f"{key} (was {before.get(key)})" for key in changed)
            raise TrainingError(f"{self.path} was begun with other settings: {listing}; set them back or change name")
        if self.training_set.is_file() and self.training_set.read_text("utf-8") != self._training_set_now():
            raise TrainingError(
                f"{self.path} was begun with other photos or another degradation: {self.training_set} says which"
            )

    def delete(self) -> None:
        """Remove the whole folder of a run; a folder that no run has made is left alone."""
        if self.options.is_file():
            shutil.rmtree(self.path)

    def record_options(self) -> None:
        """Write the resolved settings, which photos are learnt from, and what their recipe says today."""
        texts = {self.training_set: self._training_set_now(), self.options: dump_config(self.config)}
        for path, text in texts.items():
            with write_atomically(path) as file:
                file.write(text.encode())

    def _training_set_now(self) -> str:
        train = self.config.datasets.train
        photos = open_photos(
            train.dataroot_gt, "dataroot_gt", meta_info_file=train.meta_info_file, recursive=train.recursive
        )
        names = hashlib.sha256("\n".join(photos.names).encode()).hexdigest()
        steps = pformat(build_recipe(train.degradation).steps if train.degradation else (), width=118)
        return f"{len(photos.names)} photos, SHA-256 of their names {names}\n{steps}\n"

    def _has_begun(self, stage: str) -> bool:
        return self.weights(stage).exists() or bool(self.checkpoints.paths(self.config.number(stage)))


def _is_guarded(learning: TrainConfig) -> bool:
    """Whether the scores of validation decide what is learnt or published."""
    return bool(learning.collapse_margin or learning.patience or learning.publish == "best")


def _flat(values: dict[str, Any], prefix: str = "") -> dict[str, Any]:
    """Nested mappings as dotted keys."""
    flat: dict[str, Any] = {}
    for key, value in values.items():
        flat |= _flat(value, f"{prefix}{key}.") if isinstance(value, dict) else {f"{prefix}{key}": value}
    return flat
