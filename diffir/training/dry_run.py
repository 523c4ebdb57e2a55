"""Check a run before it takes days, with a dry run or with a run of a few steps.

In: a ``RunConfig``. Out: lines that describe the run, or the error that it would end with (``dry_run``); options of a
short run that goes through all stages, phases and outputs (``shortened``). A dry run writes to a temporary folder only.
"""

import time
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np

from diffir.config import RunConfig, TrainConfig, TrainSetConfig
from diffir.system import System
from diffir.training.publishing import publish
from diffir.training.run import Run
from diffir.training.run_samples import largest_patch
from diffir.training.teacher import open_targets

STEPS = 16  # steps of a stage in a shortened run
EVERY = 8  # steps between its validations and between its saved states


def shortened(config: RunConfig, system: System) -> RunConfig:
    """Return the options of the same run with 16 steps per stage, all logged, under the name ``debug_NAME``."""
    return replace(
        config,
        name=f"debug_{config.name}",
        datasets=replace(config.datasets, train=_with_few_targets(config.datasets.train)),
        stages={name: _shortened(stage, system) for name, stage in config.stages.items()},
        val=replace(config.val, val_freq=EVERY),
        logger=replace(config.logger, print_freq=1, save_checkpoint_freq=EVERY),
    )


def dry_run(config: RunConfig, system: System, systems: Mapping[str, System] | None = None) -> Iterator[str]:
    """Build everything that the first step of each stage needs, and describe it in lines, the stages last.

    Args:
        systems: as for ``Run``.
    Raises:
        ConfigError: the run itself would end with this error.
    """
    teacher, train = config.datasets.train.teacher, config.datasets.train
    # Without its teacher, a run makes no targets, which would be written.
    untaught = replace(config, datasets=replace(config.datasets, train=replace(train, teacher=None)))
    run = Run(untaught, system, systems=systems)
    yield f"device {run.device}, processes {run.processes.size}"
    if teacher is not None:
        seconds = _seconds_a_target(config, run)
        minutes = seconds * teacher.patches / 60
        yield f"teacher: {seconds:.1f} s a target, {minutes:.0f} minutes for all {teacher.patches} if none is on disk"
    yield from run.facts()
    yield from _stage_facts(run)


def _stage_facts(run: Run) -> Iterator[str]:
    """Build every stage that would run and describe it; later ones start from the untrained weights of earlier ones."""
    built: dict[str, Path] = {}
    with TemporaryDirectory() as folder:
        for name in run.config.run_stages:
            stage = run.stage(name, lambda earlier: built.get(earlier, run.folder.weights(earlier)))
            yield from run.stage_facts(stage)
            if name != run.config.run_stages[-1]:
                built[name] = Path(folder) / f"{name}.safetensors"
                publish(built[name], stage.network.state_dict(), {}, stage, run.config, run.row, run.system)


def _seconds_a_target(config: RunConfig, run: Run) -> float:
    """Time the second of two targets of random noise; raises the errors of ``TeacherTargets.ask``."""
    scale = run.row.facts.scale
    targets = open_targets(config, run.systems, run.device, scale=scale)
    assert targets is not None
    side = largest_patch(config) // scale
    lq = np.random.default_rng(0).integers(0, 256, (side, side, 3), dtype=np.uint8)
    targets.ask(lq)
    began = time.perf_counter()
    targets.ask(lq)
    return time.perf_counter() - began


def _with_few_targets(train: TrainSetConfig) -> TrainSetConfig:
    if train.teacher is None:
        return train
    return replace(train, teacher=replace(train.teacher, patches=min(train.teacher.patches, STEPS)))


def _shortened(stage: TrainConfig, system: System) -> TrainConfig:
    first = next((number for number, size in enumerate(stage.gt_sizes) if size), 0)  # 0: thumbnails without patches
    return replace(
        stage,
        total_iter=STEPS,
        own=system.shortened(stage.own, EVERY),
        warmup_iter=min(stage.warmup_iter, EVERY),
        iters=(STEPS,) if stage.iters else (),
        gt_sizes=stage.gt_sizes[first : first + 1],
        mini_batch_sizes=stage.mini_batch_sizes[first : first + 1],
    )
