"""Check a run before it takes days, with a dry run or with a run of a few steps.

In: a ``RunConfig``. Out: lines that describe the run, or the error that it would end with (``dry_run``); options of a
short run that goes through all stages, phases and outputs (``shortened``). Nothing is written here.
"""

from collections.abc import Iterator
from dataclasses import replace

from diffir.config import RunConfig, TrainConfig
from diffir.system import System
from diffir.training.run import Run

STEPS = 16  # steps of a stage in a shortened run
EVERY = 8  # steps between its validations and between its saved states


def shortened(config: RunConfig, system: System) -> RunConfig:
    """Return the options of the same run with 16 steps per stage, all logged, under the name ``debug_NAME``."""
    return replace(
        config,
        name=f"debug_{config.name}",
        stages={name: _shortened(stage, system) for name, stage in config.stages.items()},
        val=replace(config.val, val_freq=EVERY),
        logger=replace(config.logger, print_freq=1, save_checkpoint_freq=EVERY),
    )


def dry_run(config: RunConfig, system: System) -> Iterator[str]:
    """Build everything that the first step needs, and describe it in lines.

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
