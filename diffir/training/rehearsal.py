"""Checks before a run that takes days: whether everything is there, and whether all of it works together.

In: a ``RunConfig``. Out: facts in words, or the error the run would end with (``rehearse``); a run of a few steps that
goes through everything (``shortened``). Nothing is written here.
"""

from collections.abc import Iterator
from dataclasses import replace

from diffir.config import RunConfig, TrainConfig
from diffir.system import System
from diffir.training.run import Run

STEPS = 16  # a stage of a shortened run
EVERY = 8  # steps between its validations and states


def shortened(config: RunConfig, system: System) -> RunConfig:
    """The same run, 16 steps a stage, logged at each, under the name ``debug_NAME``."""
    return replace(
        config,
        name=f"debug_{config.name}",
        stages={name: _shortened(stage, system) for name, stage in config.stages.items()},
        val=replace(config.val, val_freq=EVERY),
        logger=replace(config.logger, print_freq=1, save_checkpoint_freq=EVERY),
    )


def rehearse(config: RunConfig, system: System) -> Iterator[str]:
    """Build everything up to the first step, and say what there is, a line each.

    Raises:
        ConfigError: the run itself would end with this error.
    """
    run = Run(config, system)
    yield f"device {run.device}, processes {run.processes.size}"
    yield from run.facts()


def _shortened(stage: TrainConfig, system: System) -> TrainConfig:
    return replace(
        stage,
        total_iter=STEPS,
        own=system.shortened(stage.own, EVERY),
        warmup_iter=min(stage.warmup_iter, EVERY),
        iters=(STEPS,) if stage.iters else (),
        gt_sizes=stage.gt_sizes[:1],
        mini_batch_sizes=stage.mini_batch_sizes[:1],
    )
