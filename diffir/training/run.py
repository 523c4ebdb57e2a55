"""A whole run: the stages of an option file one after the other, each resumable, each ending in weights.

In: a ``RunConfig``. Out: ``experiments/NAME/`` with the resolved options, the log, training states, validation images
and ``models/NAME_stage{1,2,3}.safetensors``. A stage takes over from the weights of the one before by itself.
Started by torchrun, every process runs this; the first one alone writes.
"""

import logging
import os
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from pprint import pformat
from typing import Any

import numpy as np
import torch
import yaml
from torch import Tensor

from diffir.config import RunConfig, StageNumber
from diffir.config_file import dump_config
from diffir.data.batch_plan import BatchPlan, PatchRequest, PatchSize
from diffir.data.batches import load_batches
from diffir.data.samples import Pair
from diffir.data.training_set import open_training_set, training_facts
from diffir.data.validation_set import validation_samples
from diffir.degradations.recipe_file import shipped_recipes
from diffir.degradations.recipes import build_recipe
from diffir.errors import ConfigError, TrainingError
from diffir.evaluation import Sample
from diffir.image_io import write_image
from diffir.inference.device import resolve_device
from diffir.metrics.table import METRICS
from diffir.systems.diffir import DiffIR
from diffir.systems.diffir.initial_weights import BuildStage, build_stage
from diffir.systems.diffir.stages import Stage
from diffir.systems.diffir.tasks import get_task
from diffir.training.guard import Guard
from diffir.training.log import RunLog
from diffir.training.processes import Processes
from diffir.training.run_folder import RunFolder
from diffir.training.trainer import Pace, Trainer
from diffir.training.validation import Validator
from diffir.weights.card import Score, WeightsCard
from diffir.weights.published import save_published

logger = logging.getLogger(__name__)
FIRST_SAMPLES = 8  # that a stage may look at before its first step


class Run:
    """One option file at work in its folder."""

    def __init__(
        self, config: RunConfig, processes: Processes | None = None, *, build: BuildStage = build_stage
    ) -> None:
        """
        Args:
            config: the option file.
            processes: that share the work; those of torchrun's environment when not given.
            build: makes a stage ready for its first step; experiments put variants of stages here.
        """
        self.config = config
        self.build = build
        self.folder = RunFolder(config)
        self.processes = processes or Processes.from_environment()
        self.device = self.processes.device(resolve_device(config.device))
        self.protocol = get_task(config.network_g.task).protocol

    def facts(self) -> Iterator[str]:
        """What the run would work with, a line each; draws one batch and builds the first stage."""
        self._check_data()
        lq, gt = next(iter(self._batches(self.config.stages[0], 0)))
        yield f"first batch: lq {' x '.join(map(str, lq.shape))}, gt {' x '.join(map(str, gt.shape))}"
        validator = self._validator()
        yield f"validation photos: {len(validator.samples) if validator is not None else 'none'}"
        number = self.config.stages[0]
        stage = self.build(self.config, self.folder, number, lambda: lq)
        parameters = sum(parameter.numel() for parameter in stage.network.parameters())
        steps = self.config.learning(number).total_iter
        yield f"stage {number}: {parameters / 1e6:.2f} million parameters, {steps} steps"
        for phase in stage.phases:
            learners = ", ".join(f"{learner.name} at {learner.optim.lr:g}" for learner in phase.learners)
            yield f"phase {phase.name}: steps {phase.start} to {phase.stop}, {learners}"
        yield f"folder: {self.folder.path}"

    def start(self, *, auto_resume: bool, start_over: bool = False) -> Path:
        """Run all stages; returns the weights of the last one.

        Args:
            auto_resume: go on from the last state of this run.
            start_over: delete the run's folder first.

        Raises:
            TrainingError: the folder holds a run already and ``auto_resume`` is off, a run of other settings, or the
                run fails.
            ConfigError: photos or weights that the options name are missing.
        """
        if self.processes.is_first:
            if start_over:
                self.folder.delete()
            self.folder.open(auto_resume=auto_resume)
        self.processes.wait()
        self._check_data()
        validator = self._validator()
        for number in self.config.stages:
            if self.processes.share(self.folder.weights(number).is_file()):
                logger.info("stage %d is done: %s", number, self.folder.weights(number))
                continue
            stage = self.build(self.config, self.folder, number, partial(self.first_lq, number))
            if self.processes.is_first:
                self.folder.record_options()
            self._run_stage(stage, validator)
            self.processes.wait()
        return self.folder.weights(self.config.stages[-1])

    def _check_data(self) -> None:
        """Whether there are training pairs, and whether they are what the network takes and gives."""
        open_training_set(self.config.datasets.train, seed=(self.config.manual_seed,))
        facts = training_facts(self.config.datasets.train)
        facts.check(self.config.network_g.arch(), network="the network", pairs="the training pairs are")

    def _run_stage(self, stage: Stage, validator: Validator | None) -> None:
        learning, judge = self.config.learning(stage.number), METRICS[self.config.val.metrics[0]]
        guard = Guard.of(learning, higher_is_better=judge.higher_is_better)
        trainer = Trainer(
            stage, learning, guard, device=self.device, seed=self.config.manual_seed, processes=self.processes
        )
        state = self.folder.checkpoints.load_latest(stage.number) if self.processes.is_first else None
        state = self.processes.share(state)
        if state is not None:
            trainer.load_state_dict(state)
            logger.info("stage %d resumes at step %d of %d", stage.number, trainer.step, learning.total_iter)

        with RunLog(
            self.folder.path,
            stage=stage.number,
            total_iter=learning.total_iter,
            first_step=trainer.step,
            use_tb_logger=self.config.logger.use_tb_logger,
            is_first=self.processes.is_first,
        ) as log:

            def validate(network: DiffIR, step: int) -> dict[str, float]:
                if validator is None:
                    return {}

                def show(name: str, picture: np.ndarray) -> None:
                    write_image(self.folder.images(stage.number, step) / f"{name}.png", picture)
                    log.picture(step, name, picture)

                scores = validator(stage, network, show)
                return {**scores, **validator.input_scores()} if step == 0 else scores

            pace = Pace.of(self.config.logger, self.config.val)
            batches = self._batches(stage.number, trainer.step)
            trainer.run(batches, log, self.folder.checkpoints, validate, pace)
        if self.processes.is_first:
            self._publish(trainer, stage.number)

    def first_lq(self, number: StageNumber) -> Tensor:
        """lq of the first samples of a stage: the same ones however many processes and batches share a step."""
        train = self.config.datasets.train
        samples = open_training_set(train, seed=(self.config.manual_seed, number))
        size = (self.config.learning(number).gt_sizes or (train.gt_size,))[0]
        return torch.stack([samples[PatchRequest(index, size)].lq for index in range(FIRST_SAMPLES)])

    def _batches(self, number: StageNumber, first_step: int) -> Iterator[Pair]:
        train, learning = self.config.datasets.train, self.config.learning(number)
        sizes = zip(learning.iters, learning.gt_sizes, learning.mini_batch_sizes, strict=True)
        legs = [PatchSize(*leg) for leg in sizes]
        legs = legs or [PatchSize(learning.total_iter, train.gt_size, train.batch_size_per_gpu)]
        plan = BatchPlan(
            legs,
            first_step,
            accumulate=learning.accum_iter,
            rank=self.processes.rank,
            processes=self.processes.size,
        )
        samples = open_training_set(train, seed=(self.config.manual_seed, number))
        workers = _workers(train.num_worker_per_gpu)
        return load_batches(samples, plan, workers=workers, pin_memory=self.device.type == "cuda")

    def _validator(self) -> Validator | None:
        if self.config.datasets.val is None or not self.processes.is_first:
            return None
        return Validator(self.validation_samples(), self.config.val, self.protocol)

    def validation_samples(self) -> list[Sample]:
        """The validation photos, damaged; none where the options name none."""
        val, arch = self.config.datasets.val, self.config.network_g.arch()
        if val is None:
            return []
        steps = val.degradation or self.config.datasets.train.degradation
        recipe = build_recipe(steps) if steps else None
        pairs = validation_samples(val, recipe, multiple_of=arch.multiple_of, scale=arch.scale)
        if pairs[0].lq.shape[2] != arch.in_channels:
            raise ConfigError(
                f"datasets.val makes {pairs[0].lq.shape[2]} channels, the network takes {arch.in_channels}: "
                "give it dataroot_mask or a degradation with a mask, as training has"
            )
        return [Sample(pair.name, pair.lq, pair.gt) for pair in pairs]

    def _publish(self, trainer: Trainer, number: StageNumber) -> None:
        path, task = self.folder.weights(number), get_task(self.config.network_g.task)
        weights = trainer.published
        if not all(torch.isfinite(tensor).all() for tensor in weights.values()):
            raise TrainingError(f"stage {number} ends with weights that are not finite: lower train.optim_g.lr")
        card = WeightsCard(
            name=self.config.name,
            settings=self.config.network_g.arch(),
            stage=1 if number == 1 else 2,
            task=task.name,
            summary=task.summary,
            training=_recipe(self.config, number),
            data=self.config.training_data,
            scores=tuple(
                Score("validation", name, value, str(self.protocol), _condition(self.config))
                for name, value in trainer.scores.items()
                if name in METRICS
            ),
            licence=self.config.licence,
        )
        # Stage-1 weights are a step on the way and stay exact; later weights are what people download.
        dtype = torch.float32 if number == 1 else torch.float16
        save_published(path, weights, card, dtype=dtype)
        logger.info("stage %d is done after %d steps: %s", number, trainer.step, path)


def _workers(asked: int) -> int:
    """Reading processes: more of them than cores would only wait for each other, and torch warns of them."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    if asked > cores:
        logger.info("num_worker_per_gpu %d is more than the cores at hand: %d are used", asked, cores)
    return min(asked, cores)


_SECTIONS: dict[StageNumber, str] = {1: "train", 2: "stage2", 3: "stage3"}


def _recipe(config: RunConfig, last: StageNumber) -> dict[str, object]:
    """What others need to repeat the training up to that stage; nothing of the machine it ran on."""
    values = yaml.safe_load(dump_config(config))
    local = ("dataroot_gt", "dataroot_lq", "dataroot_mask", "meta_info_file")
    train_set = {key: value for key, value in values["datasets"]["train"].items() if key not in local}
    train_set["degradation"] = [_told(step) for step in train_set["degradation"]]
    start = {key: value and Path(value).stem for key, value in values["path"].items() if key.startswith("pretrain_")}
    stages = [stage for stage in config.stages if stage <= last]
    kept = {key: values[key] for key in ("network_g", "manual_seed", *(_SECTIONS[stage] for stage in stages))}
    return _without_blanks({"stages": stages, "start": start, **kept, "train_set": train_set})


def _without_blanks(values: dict[str, Any]) -> dict[str, Any]:
    """What says nothing, None or an empty list, left out at every depth."""
    told = {key: _without_blanks(value) if isinstance(value, dict) else value for key, value in values.items()}
    return {key: value for key, value in told.items() if value not in (None, [], {})}


def _told(step: dict[str, Any]) -> dict[str, Any]:
    """A step as others can read it: of a recipe file not the path, but its name and what it says."""
    name = step.get("name")
    if step["type"] != "recipe" or name in shipped_recipes():
        return step
    return {**step, "name": Path(str(name)).stem, "steps": pformat(build_recipe([step]).steps)}


def _condition(config: RunConfig) -> str:
    """How validation damaged its photos, in words."""
    val = config.datasets.val
    if val is None:
        return ""
    steps = (_told(step) for step in val.degradation or config.datasets.train.degradation)
    words = (
        " ".join(f"{key} {value}" if key != "type" else str(value) for key, value in step.items() if key != "steps")
        for step in steps
    )
    size = "whole photos" if val.gt_size is None else f"{val.gt_size} x {val.gt_size} cuts"
    return ", ".join(filter(None, (size, ", then ".join(words))))
