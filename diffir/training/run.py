"""Train all stages of an option file, one after the other; a stopped run can be resumed.

In: a ``RunConfig`` and its system. Out: ``experiments/NAME/`` with the resolved options, the log, training states,
validation images and ``models/NAME_stage{1,2,3}.safetensors``. A stage starts from the weights of the one before. Under
torchrun every process runs this code, and only the first one writes files.
"""

import logging
from collections.abc import Callable, Iterator, Mapping
from functools import partial
from pathlib import Path

import numpy as np
import torch
from torch import nn

from diffir.config import RunConfig
from diffir.image_io import write_image
from diffir.inference.device import resolve_device
from diffir.metrics.table import METRICS
from diffir.system import BuildStage, Stage, StageStart, System
from diffir.training.early_stopping import EarlyStopping
from diffir.training.log import RunLog
from diffir.training.processes import Processes
from diffir.training.publishing import publish
from diffir.training.run_folder import RunFolder
from diffir.training.run_samples import RunSamples
from diffir.training.teacher import open_targets
from diffir.training.trainer import Intervals, Trainer
from diffir.training.validation import Validator
from diffir.weights.load import load_network

logger = logging.getLogger(__name__)


class Run:
    """A training run: its options, its samples, its folder and its processes."""

    def __init__(
        self,
        config: RunConfig,
        system: System,
        processes: Processes | None = None,
        *,
        build: BuildStage | None = None,
        systems: Mapping[str, System] | None = None,
    ) -> None:
        """
        Args:
            config: the option file.
            system: the system that ``config.system`` names.
            processes: the processes that share the work; if not given, those that torchrun's variables describe.
            build: builds a stage that is ready for its first step; if not given, ``system.stage``.
            systems: systems whose networks may be the teacher, by name; if not given, the run's own system alone.
        """
        self.config = config
        self.system = system
        self.row = system.row(config.network_g)
        self.folder = RunFolder(config, system)
        self.processes = processes or Processes.from_environment()
        self.device = self.processes.device(resolve_device(config.device))
        self.systems = systems or {system.name: system}
        targets = open_targets(config, self.systems, self.device, scale=self.row.facts.scale)
        self.samples = RunSamples(config, self.row.facts, targets)
        self._build = build or system.stage

    def facts(self) -> Iterator[str]:
        """Draw one batch of the first stage, and describe samples and folder in lines."""
        self.samples.check()
        name = self.config.run_stages[0]
        batch = next(iter(self.samples.batches(name, 0, self.processes, pin_memory=False)))
        yield f"first batch: lq {' x '.join(map(str, batch.lq.shape))}, gt {' x '.join(map(str, batch.gt.shape))}"
        validator = self._validator()
        yield f"validation photos: {len(validator.samples) if validator is not None else 'none'}"
        yield f"folder: {self.folder.path}"

    def stage_facts(self, stage: Stage) -> Iterator[str]:
        """Describe a stage and its phases in lines."""
        parameters = sum(parameter.numel() for parameter in stage.network.parameters())
        number, steps = self.config.number(stage.name), self.config.stages[stage.name].total_iter
        yield f"stage {number} ({stage.name}): {parameters / 1e6:.2f} million parameters, {steps} steps"
        for phase in stage.phases:
            learners = ", ".join(f"{learner.name} at {learner.optim.lr:g}" for learner in phase.learners)
            yield f"  phase {phase.name}: steps {phase.start} to {phase.stop}, {learners}"

    def start(self, *, auto_resume: bool, start_over: bool = False) -> Path:
        """Train all stages that are not finished; return the path of the last stage's weights.

        Args:
            auto_resume: continue from the last training state of this run.
            start_over: delete the run's folder first.

        Raises:
            TrainingError: the folder holds a run and ``auto_resume`` is off, the run was started with other settings,
                or the training fails.
            ConfigError: photos or weights that the options name are missing.
        """
        # Check the folder and the samples.
        if self.processes.is_first:
            if start_over:
                self.folder.delete()
            self.folder.open(auto_resume=auto_resume)
        self.processes.wait()
        self.samples.check()
        self.samples.prepare(self.processes)
        self.processes.wait()
        validator = self._validator()

        # Train the stages that have no weights yet.
        for name in self.config.run_stages:
            if self.processes.share(self.folder.weights(name).is_file()):
                logger.info("stage %d is done: %s", self.config.number(name), self.folder.weights(name))
                continue
            stage = self.stage(name)
            if self.processes.is_first:
                self.folder.record_options()
            self._run_stage(stage, validator)
            self.processes.wait()
        return self.folder.weights(self.config.run_stages[-1])

    def stage(self, name: str, weights: Callable[[str], Path] | None = None) -> Stage:
        """Build a stage that is ready for its first step; the caller's global random state stays as it is.

        Args:
            weights: name of an earlier stage -> file of its weights; if not given, those in the run's folder.
        """

        def load(source: str | Path, part: str | None) -> nn.Module:
            return load_network(source, {self.system.name: self.system}, part=part)[0]

        start = StageStart(self.config, weights or self.folder.weights, load, partial(self.samples.first_samples, name))
        # Random weights depend on the seed and the stage only, however the run got here.
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(self.config.manual_seed + self.config.number(name))
            return self._build(name, start)

    def _run_stage(self, stage: Stage, validator: Validator | None) -> None:
        # Build the trainer, and continue from the last state if there is one.
        number, learning = self.config.number(stage.name), self.config.stages[stage.name]
        higher_is_better = METRICS[self.config.val.metrics[0]].higher_is_better
        trainer = Trainer(
            stage,
            learning,
            EarlyStopping.from_config(learning, higher_is_better=higher_is_better),
            number=number,
            device=self.device,
            seed=self.config.manual_seed,
            processes=self.processes,
        )
        state = self.folder.checkpoints.load_latest(number) if self.processes.is_first else None
        state = self.processes.share(state)
        if state is not None:
            trainer.load_state_dict(state)
            logger.info("stage %d resumes at step %d of %d", number, trainer.step, learning.total_iter)

        self.samples.encode(stage, self.folder.training_set_now(), self.processes)
        self.processes.wait()

        # Train, with validation on the first process.
        with RunLog(
            self.folder.path,
            stage=number,
            total_iter=learning.total_iter,
            first_step=trainer.step,
            use_tb_logger=self.config.logger.use_tb_logger,
            loggers=self.config.logger.loggers,
            is_first=self.processes.is_first,
        ) as log:

            def validate(network: nn.Module, step: int) -> dict[str, float]:
                if validator is None:
                    return {}

                def show(name: str, picture: np.ndarray) -> None:
                    write_image(self.folder.images(stage.name, step) / f"{name}.png", picture)
                    log.picture(step, name, picture)

                scores = validator(stage, network, show)
                return {**scores, **validator.input_scores()} if step == 0 else scores

            intervals = Intervals.from_config(self.config.logger, self.config.val)
            on_cuda = self.device.type == "cuda"
            batches = self.samples.batches(stage.name, trainer.step, self.processes, pin_memory=on_cuda)
            trainer.run(batches, log, self.folder.checkpoints, validate, intervals)

        # Publish the weights that the stage ends with.
        if self.processes.is_first:
            path = self.folder.weights(stage.name)
            publish(path, trainer.published, trainer.scores, stage, self.config, self.row, self.system)
            logger.info("stage %d is done after %d steps: %s", number, trainer.step, path)

    def _validator(self) -> Validator | None:
        if self.config.datasets.val is None or not self.processes.is_first:
            return None
        return Validator(self.samples.validation(), self.config.val, self.row.protocol)
