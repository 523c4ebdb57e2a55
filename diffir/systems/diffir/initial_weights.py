"""From weights to the start of a stage: what each stage takes over, and from where.

Stage 1 starts anew, from stage-1 weights, from stage-2 weights, or from as much as fits of another row's; stage 2 from
stage 1, its prior network anew or from stage-2 weights; stage 3 from stage 2, with the teacher of stage 2. In: options
and the run's folder. Out: a stage.
"""

from collections.abc import Callable
from pathlib import Path

import torch
from torch import Tensor

from diffir.config import RunConfig, StageNumber
from diffir.errors import ConfigError
from diffir.systems.diffir import DiffIR
from diffir.systems.diffir.stages import Stage, StageOne, StageTwo
from diffir.training.run_folder import RunFolder
from diffir.weights.load import load_network

FirstBatch = Callable[[], Tensor]
"""Draws the lq (B, C, H, W) of the stage's first batch; called only where it is needed."""
BuildStage = Callable[[RunConfig, RunFolder, StageNumber, FirstBatch], Stage]
"""What ``build_stage`` is."""


def build_stage(config: RunConfig, folder: RunFolder, number: StageNumber, first_batch: FirstBatch) -> Stage:
    """The stage at its first step, seeded; the global random state of the caller is left as it was.

    Raises:
        ConfigError: weights that the stage needs are missing or have other settings.
        WeightsError: a file is not weights.
    """
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(config.manual_seed + number)
        if number == 1:
            return _stage_one(config, first_batch)
        return _stage_two(config, folder, number)


def _stage_one(config: RunConfig, first_batch: FirstBatch) -> StageOne:
    stage = StageOne(config.network_g.arch(), config.learning(1))
    start = config.path.pretrain_network_g
    if start is not None:
        network = _pretrained(config, start, strict=config.path.strict_load_g)
        if network.stage == 1 and network.settings == stage.network.settings:
            stage.network.load_state_dict(network.state_dict())
        else:
            stage.take_over(network, first_batch())
    return stage


def _stage_two(config: RunConfig, folder: RunFolder, number: StageNumber) -> StageTwo:
    teacher = config.path.pretrain_network_g if 1 not in config.stages else None
    stage = StageTwo(_needed(config, teacher or folder.weights(1), 1), config.learning(number), number=number)
    before = config.path.pretrain_network_s2
    if number == 3 and (2 in config.stages or before is None):
        before = str(folder.weights(2))
    if before is not None:
        stage.network.load_state_dict(_needed(config, before, 2).state_dict())
    return stage


def _needed(config: RunConfig, weights: str | Path, stage: StageNumber) -> DiffIR:
    if isinstance(weights, Path) and not weights.is_file():
        key = {1: "pretrain_network_g", 2: "pretrain_network_s2"}[stage]
        raise ConfigError(
            f"stage-{stage} weights are needed, and {weights} does not exist: run stage {stage} or set path.{key}"
        )
    return _pretrained(config, weights, stage)


def _pretrained(
    config: RunConfig, weights: str | Path, stage: StageNumber | None = None, *, strict: bool = True
) -> DiffIR:
    network, _ = load_network(weights, stage=stage)
    if strict and network.settings != config.network_g.arch():
        way_out = "; path.strict_load_g=false starts stage 1 from what fits" if stage is None else ""
        raise ConfigError(f"{weights} has other network settings than network_g{way_out}")
    return network
