"""A whole run: the stages of an option file one after the other, each resumable, each ending in weights.

In: a ``RunConfig``. Out: ``experiments/NAME/`` with the resolved options, the log, training states, validation images
and ``models/NAME_stage{1,2}.safetensors``. Stage 2 takes over from the stage-1 weights of the same folder by itself.
"""

import logging
from pathlib import Path

import torch
import yaml
from torch.utils.data import DataLoader

from diffir.archs import DiffIR
from diffir.archs.settings import Stage as StageNumber
from diffir.config import DatasetConfig, RunConfig, TrainConfig
from diffir.config_file import dump_config
from diffir.data.clean_images import BatchPlan, CleanPatches, PatchSize, find_photos
from diffir.degradations.recipes import build_recipe
from diffir.errors import ConfigError, TrainingError
from diffir.tasks import get_task
from diffir.training.checkpoint import Checkpoints
from diffir.training.log import RunLog
from diffir.training.stages import Stage, StageOne, StageTwo
from diffir.training.trainer import Pace, Trainer
from diffir.training.validation import Validator
from diffir.weights.card import Score, WeightsCard
from diffir.weights.load import load_network
from diffir.weights.published import save_published

logger = logging.getLogger(__name__)

_PROBE = 1_000_000  # validation draws from seeds far from those of training steps


class Run:
    """One option file at work in its folder."""

    def __init__(self, config: RunConfig) -> None:
        self.config = config
        self.folder = Path(config.path.experiments_root) / config.name
        self.device = _device(config.device)
        self.degrade = build_recipe(config.datasets.train.degradation)
        self.checkpoints = Checkpoints(self.folder / "training_states", config.logger.keep_checkpoints)

    def start(self, *, auto_resume: bool) -> Path:
        """Run all stages; returns the weights of the last one.

        Raises:
            TrainingError: the folder holds a run already and ``auto_resume`` is off, or the run fails.
            ConfigError: photos or weights that the options name are missing.
        """
        if self.folder.exists() and any(self.folder.iterdir()) and not auto_resume:
            raise TrainingError(f"{self.folder} holds a run already: go on with --auto_resume, or choose another name")
        photos = _photos(self.config.datasets.train)
        validator = self._validator()
        self.folder.mkdir(parents=True, exist_ok=True)
        (self.folder / "options.yml").write_text(dump_config(self.config), "utf-8")
        for number in self.config.stages:
            if self.weights(number).is_file():
                logger.info("stage %d is done: %s", number, self.weights(number))
                continue
            self._run_stage(number, photos, validator)
        return self.weights(self.config.stages[-1])

    def weights(self, stage: StageNumber) -> Path:
        """Where the finished weights of a stage lie."""
        return self.folder / "models" / f"{self.config.name}_stage{stage}.safetensors"

    def _run_stage(self, number: StageNumber, photos: list[Path], validator: Validator | None) -> None:
        learning = self.config.learning(number)
        stage = self._build_stage(number, learning)
        trainer = Trainer(stage, learning, self.degrade, device=self.device, seed=self.config.manual_seed)
        state = self.checkpoints.load_latest()
        if state is not None and state["stage"] == number:
            trainer.load_state_dict(state)
            logger.info("stage %d resumes at step %d of %d", number, trainer.step, learning.total_iter)

        scores: dict[str, float] = {}

        def validate(network: DiffIR, step: int) -> dict[str, float]:
            if validator is None:
                return {}
            scores.update(
                validator(
                    stage,
                    network,
                    metrics=self.config.val.metrics,
                    protocol=get_task(self.config.network_g.task).protocol,
                    images_folder=self.folder / "visualization" / f"stage{number}_{step:08d}",
                    save_images=self.config.val.save_images,
                )
            )
            return dict(scores)

        with RunLog(
            self.folder,
            stage=number,
            total_iter=learning.total_iter,
            first_step=trainer.step,
            use_tb_logger=self.config.logger.use_tb_logger,
        ) as log:
            pace = Pace.of(self.config.logger, self.config.val)
            trainer.run(self._batches(number, photos, trainer.step), log, self.checkpoints, validate, pace)
        self._publish(trainer, number, scores)

    def _build_stage(self, number: StageNumber, learning: TrainConfig) -> Stage:
        """Networks with seeded starts; the global random state of the caller is left as it was."""
        start = self.config.path.pretrain_network_g
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(self.config.manual_seed + number)
            if number == 1:
                stage = StageOne(self.config.network_g.arch(), learning)
                if start is not None:
                    stage.network.load_state_dict(load_network(start, stage=1)[0].state_dict())
                return stage
            teacher_weights = Path(start) if start and self.config.stages == (2,) else self.weights(1)
            if not teacher_weights.is_file():
                raise ConfigError(
                    f"stage 2 needs stage-1 weights, and {teacher_weights} does not exist: run stage 1 or set "
                    "path.pretrain_network_g"
                )
            teacher, _ = load_network(teacher_weights, stage=1)
            if teacher.settings != self.config.network_g.arch():
                raise ConfigError(f"{teacher_weights} has other network settings than network_g")
            return StageTwo(teacher, learning)

    def _batches(self, number: StageNumber, photos: list[Path], first_step: int) -> DataLoader:
        train, learning = self.config.datasets.train, self.config.learning(number)
        legs = [
            PatchSize(*leg) for leg in zip(learning.iters, learning.gt_sizes, learning.mini_batch_sizes, strict=True)
        ]
        legs = legs or [PatchSize(learning.total_iter, train.gt_size, train.batch_size_per_gpu)]
        patches = CleanPatches(
            photos,
            seed=(self.config.manual_seed, number),
            hflip=train.use_hflip,
            rotate=train.use_rot,
            cache_images=train.cache_images,
        )
        return DataLoader(
            patches,
            batch_sampler=BatchPlan(legs, first_step),
            num_workers=train.num_worker_per_gpu,
            pin_memory=self.device.type == "cuda",
        )

    def _validator(self) -> Validator | None:
        val = self.config.datasets.val
        if val is None:
            return None
        settings = self.config.network_g.arch()
        degrade = build_recipe(val.degradation) if val.degradation else self.degrade
        multiple_of = settings.multiple_of * settings.scale
        return Validator(val, degrade, multiple_of=multiple_of, seed=self.config.manual_seed + _PROBE)

    def _publish(self, trainer: Trainer, number: StageNumber, scores: dict[str, float]) -> None:
        path = self.weights(number)
        learning, task = self.config.learning(number), get_task(self.config.network_g.task)
        card = WeightsCard(
            name=self.config.name,
            settings=self.config.network_g.arch(),
            stage=number,
            task=task.name,
            summary=task.summary,
            training=yaml.safe_load(dump_config(self.config)),
            data=self.config.training_data,
            scores=tuple(Score("validation", name, value, str(task.protocol)) for name, value in scores.items()),
            licence=self.config.licence,
        )
        # Stage-1 weights are a step on the way and stay exact; stage-2 weights are what people download.
        dtype = torch.float32 if number == 1 else torch.float16
        save_published(path, trainer.published.state_dict(), card, dtype=dtype)
        logger.info("stage %d is done after %d steps: %s", number, learning.total_iter, path)


def _photos(dataset: DatasetConfig) -> list[Path]:
    return find_photos(Path(dataset.dataroot_gt), Path(dataset.meta_info_file) if dataset.meta_info_file else None)


def _device(name: str) -> torch.device:
    """``auto`` is CUDA where there is one."""
    if name == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    try:
        device = torch.device(name)
    except RuntimeError as error:
        raise ConfigError(f"device {name!r} is not auto, cpu, cuda or cuda:N") from error
    if device.type == "cuda" and not torch.cuda.is_available():
        raise ConfigError(f"device {name!r}: this machine has no CUDA device that torch can use")
    return device
