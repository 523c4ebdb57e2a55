"""Stages that tell what the prior and its diffusion are worth, by leaving one of them out.

For experiments (tools/prior_ablation.py): each trains like the stage it replaces, but for where its prior comes from.
DiffIR (Xia et al., ICCV 2023) calls the regressed prior variant V1.
"""

from pathlib import Path

import torch
from torch import Tensor

from diffir.config import RunConfig, StageNumber
from diffir.errors import ConfigError
from diffir.systems.diffir import DiffIR
from diffir.systems.diffir.initial_weights import BuildStage, FirstBatch
from diffir.systems.diffir.stages import Stage, StageOne, StageTwo
from diffir.training.run_folder import RunFolder
from diffir.weights.load import load_network


class RegressedPrior(StageTwo):
    """CPEN's view of lq is the prior itself: no diffusion, all else equal."""

    def estimate(self, network: DiffIR, lq: Tensor, noise: Tensor, oracle: Tensor | None) -> Tensor:
        """(B, P); the noise is not used."""
        return network.condition(lq)


class NoPrior(StageOne):
    """One learnt prior for all photos: CPEN sees black images."""

    def prior(self, network: DiffIR, lq: Tensor, gt: Tensor, noise: Tensor) -> Tensor:
        """(B, P), all rows equal."""
        return network.oracle_prior(torch.zeros_like(lq), torch.zeros_like(gt))


def stage_two_of(teacher_file: Path, kind: type[StageTwo]) -> BuildStage:
    """What makes a stage 2 of that kind, guided by the stage 1 in that file; only diffusion steps may differ."""

    def build(config: RunConfig, folder: RunFolder, number: StageNumber, first_batch: FirstBatch) -> Stage:
        torch.manual_seed(config.manual_seed)
        teacher = DiffIR(config.network_g.arch(), stage=1)
        teacher.load_state_dict(load_network(teacher_file, stage=1)[0].state_dict())
        return kind(teacher, config.learning(2))

    return build


def without_prior(config: RunConfig, folder: RunFolder, number: StageNumber, first_batch: FirstBatch) -> NoPrior:
    """DIRformer of ``path.pretrain_network_g``, and a constant that begins as the mean of its priors."""
    if config.path.pretrain_network_g is None:
        raise ConfigError("path.pretrain_network_g: name the weights to start from")
    torch.manual_seed(config.manual_seed)
    stage = NoPrior(config.network_g.arch(), config.learning(1))
    stage.take_over(load_network(config.path.pretrain_network_g)[0], first_batch())
    return stage


def without_stage_one(config: RunConfig, folder: RunFolder, number: StageNumber, first_batch: FirstBatch) -> Stage:
    """The same start, and a regressed prior that no teacher guides: lq to prior to image, learnt in one piece."""
    start = without_prior(config, folder, 1, first_batch).network
    stage = RegressedPrior(start, config.learning(2))
    stage.network.cpen.mlp[-1].load_state_dict(start.cpen.mlp[-1].state_dict())
    return stage
