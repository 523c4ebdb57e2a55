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
from diffir.config import RunConfig
from diffir.config_file import dump_config
from diffir.data.batch_plan import BatchPlan, PatchSize
from diffir.data.clean_images import DamagedPatches, find_photos
from diffir.degradations.recipes import build_recipe
from diffir.errors import ConfigError
from diffir.inference.device import resolve_device
from diffir.tasks import get_task
from diffir.training.log import RunLog
from diffir.training.run_folder import RunFolder
from diffir.training.stages import Stage, StageOne, StageTwo
from diffir.training.trainer import Pace, Trainer
from diffir.training.validation import Validator
from diffir.weights.card import Score, WeightsCard
from diffir.weights.load import load_network
from diffir.weights.published import save_published

logger = logging.getLogger(__name__)


class Run:
    """One option file at work in its folder."""

    def __init__(self, config: RunConfig) -> None:
        self.config = config
        self.folder = RunFolder(config)
        self.device = resolve_device(config.device)
        self.recipe = build_recipe(config.datasets.train.degradation)
        self.protocol = get_task(config.network_g.task).protocol

    def start(self, *, auto_resume: bool) -> Path:
        """Run all stages; returns the weights of the last one.

        Raises:
            TrainingError: the folder holds a run already and ``auto_resume`` is off, a run of other settings, or the
                run fails.
            ConfigError: photos or weights that the options name are missing.
        """
        self.folder.open(auto_resume=auto_resume)
        photos = find_photos(self.config.datasets.train)
        validator = self._validator()
        for number in self.config.stages:
            if self.folder.weights(number).is_file():
                logger.info("stage %d is done: %s", number, self.folder.weights(number))
                continue
            stage = self._build_stage(number)
            self.folder.record_options()
            self._run_stage(stage, photos, validator)
        return self.folder.weights(self.config.stages[-1])

    def _run_stage(self, stage: Stage, photos: list[Path], validator: Validator | None) -> None:
        learning = self.config.learning(stage.number)
        trainer = Trainer(stage, learning, device=self.device, seed=self.config.manual_seed)
        state = self.folder.checkpoints.load_latest(stage.number)
        if state is not None:
            trainer.load_state_dict(state)
            logger.info("stage %d resumes at step %d of %d", stage.number, trainer.step, learning.total_iter)

        scores: dict[str, float] = {}

        def validate(network: DiffIR, step: int) -> dict[str, float]:
            if validator is not None:
                folder = self.folder.images(stage.number, step)
                scores.update(validator(stage, network, self.config.val, self.protocol, folder))
            return dict(scores)

        with RunLog(
            self.folder.path,
            stage=stage.number,
            total_iter=learning.total_iter,
            first_step=trainer.step,
            use_tb_logger=self.config.logger.use_tb_logger,
        ) as log:
            pace = Pace.of(self.config.logger, self.config.val)
            batches = self._batches(stage.number, photos, trainer.step)
            trainer.run(batches, log, self.folder.checkpoints, validate, pace)
        if not scores:  # the run was stopped between its last step and here
            validate(trainer.published, trainer.step)
        self._publish(trainer, stage.number, scores)

    def _build_stage(self, number: StageNumber) -> Stage:
        """Networks with seeded starts; the global random state of the caller is left as it was."""
        start, learning = self.config.path.pretrain_network_g, self.config.learning(number)
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(self.config.manual_seed + number)
            if number == 1:
                stage = StageOne(self.config.network_g.arch(), learning)
                if start is not None:
                    self._start_stage_one(stage, start)
                return stage
            weights = Path(start) if start and self.config.stages == (2,) else self.folder.weights(1)
            if not weights.is_file():
                raise ConfigError(
                    f"stage 2 needs stage-1 weights, and {weights} does not exist: run stage 1 or set "
                    "path.pretrain_network_g"
                )
            stage_two = StageTwo(self._pretrained(weights, 1), learning)
            if self.config.path.pretrain_network_s2 is not None:
                student = self._pretrained(self.config.path.pretrain_network_s2, 2)
                stage_two.network.load_state_dict(student.state_dict())
            return stage_two

    def _start_stage_one(self, stage: StageOne, weights: str) -> None:
        network = self._pretrained(weights, None)
        if network.stage == 1:
            stage.network.load_state_dict(network.state_dict())
        else:
            photos = find_photos(self.config.datasets.train)
            stage.take_over(network, next(iter(self._batches(1, photos, 0))).lq)

    def _pretrained(self, weights: str | Path, stage: StageNumber | None) -> DiffIR:
        network, _ = load_network(weights, stage=stage)
        if network.settings != self.config.network_g.arch():
            raise ConfigError(f"{weights} has other network settings than network_g")
        return network

    def _batches(self, number: StageNumber, photos: list[Path], first_step: int) -> DataLoader:
        train, learning = self.config.datasets.train, self.config.learning(number)
        sizes = zip(learning.iters, learning.gt_sizes, learning.mini_batch_sizes, strict=True)
        legs = [PatchSize(*leg) for leg in sizes]
        legs = legs or [PatchSize(learning.total_iter, train.gt_size, train.batch_size_per_gpu)]
        patches = DamagedPatches(
            photos,
            self.recipe,
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
        recipe = build_recipe(val.degradation) if val.degradation else self.recipe
        return Validator(val, recipe, multiple_of=self.config.network_g.arch().multiple_of)

    def _publish(self, trainer: Trainer, number: StageNumber, scores: dict[str, float]) -> None:
        path, task = self.folder.weights(number), get_task(self.config.network_g.task)
        card = WeightsCard(
            name=self.config.name,
            settings=self.config.network_g.arch(),
            stage=number,
            task=task.name,
            summary=task.summary,
            training=_recipe(self.config),
            data=self.config.training_data,
            scores=tuple(
                Score("validation", name, value, str(self.protocol), _condition(self.config))
                for name, value in scores.items()
            ),
            licence=self.config.licence,
        )
        # Stage-1 weights are a step on the way and stay exact; stage-2 weights are what people download.
        dtype = torch.float32 if number == 1 else torch.float16
        save_published(path, trainer.published.state_dict(), card, dtype=dtype)
        logger.info("stage %d is done after %d steps: %s", number, trainer.step, path)


def _recipe(config: RunConfig) -> dict[str, object]:
    """What others need to repeat the training; nothing of the machine it ran on."""
    values = yaml.safe_load(dump_config(config))
    train_set = {key: value for key, value in values["datasets"]["train"].items() if key != "dataroot_gt"}
    kept = ("network_g", "stages", "manual_seed", "train", "stage2")
    return {**{key: values[key] for key in kept}, "train_set": train_set}


def _condition(config: RunConfig) -> str:
    """How validation damaged its photos, in words."""
    val = config.datasets.val
    if val is None:
        return ""
    steps = val.degradation or config.datasets.train.degradation
    words = (
        " ".join(f"{key} {value}" if key != "type" else str(value) for key, value in step.items()) for step in steps
    )
    return f"{val.gt_size} x {val.gt_size} cuts, {', then '.join(words)}"
