"""Before a run that takes days: is everything there, and does it hang together?

In: a ``RunConfig``. Out: facts in words, or the error the run would end with (``rehearse``); a run of a few steps that
goes through everything (``shortened``). Nothing is written here.
"""

from collections.abc import Iterator
from dataclasses import replace

from diffir.config import RunConfig, TrainConfig
from diffir.training.run import Run

STEPS = 16  # a stage of a shortened run
EVERY = 8  # steps between its validations and states


def shortened(config: RunConfig) -> RunConfig:
    """The same run, 16 steps a stage, logged at each, under the name ``debug_NAME``."""
    return replace(
        config,
        name=f"debug_{config.name}",
        train=_shortened(config.train),
        stage2=_shortened(config.stage2),
        stage3=_shortened(config.stage3),
        val=replace(config.val, val_freq=EVERY),
        logger=replace(config.logger, print_freq=1, save_checkpoint_freq=EVERY),
    )


def rehearse(config: RunConfig) -> Iterator[str]:
    """Build everything up to the first step, and tell what there is, a line each.

    Raises:
        ConfigError: what the run itself would complain of.
    """
    run = Run(config)
    yield f"device {run.device}, processes {run.processes.size}"
    yield from run.facts()


def _shortened(train: TrainConfig) -> TrainConfig:
    sizes = slice(0, 1)
    return replace(
        train,
        total_iter=STEPS,
        encoder_iter=min(train.encoder_iter, EVERY),
        warmup_iter=min(train.warmup_iter, EVERY),
        iters=(STEPS,) if train.iters else (),
        gt_sizes=train.gt_sizes[sizes],
        mini_batch_sizes=train.mini_batch_sizes[sizes],
    )
