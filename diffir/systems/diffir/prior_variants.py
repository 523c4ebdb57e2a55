"""Variants of the stages that measure what the prior and its diffusion are worth, by leaving one of them out.

For experiments (tools/prior_ablation.py): each trains like the stage it replaces, apart from where its prior comes
from. DiffIR (Xia et al., ICCV 2023) calls the regressed prior variant V1.
"""

from pathlib import Path

import torch
from torch import Tensor

from diffir.errors import ConfigError
from diffir.system import BuildStage, Stage, StageStart
from diffir.systems.diffir.initial_weights import arch_of, load_diffir
from diffir.systems.diffir.network import DiffIR
from diffir.systems.diffir.stages import StageOne, StageTwo
from diffir.systems.diffir.system import DIFFUSION, PRIOR


class RegressedPrior(StageTwo):
    """The conditioning vector of CPEN is the prior itself: no diffusion, all else equal."""

    def estimate(self, network: DiffIR, lq: Tensor, noise: Tensor, oracle: Tensor | None) -> Tensor:
        """The prior (B, P); the noise is not used."""
        return network.condition(lq)


class NoPrior(StageOne):
    """One learnt prior for all photos: CPEN sees black images."""

    def prior(self, network: DiffIR, lq: Tensor, gt: Tensor, noise: Tensor) -> Tensor:
        """The prior (B, P), all rows equal."""
        return network.oracle_prior(torch.zeros_like(lq), torch.zeros_like(gt))


def stage_two_of(teacher_file: Path, kind: type[StageTwo]) -> BuildStage:
    """Builder of a stage 2 of that kind, taught by the stage 1 in the file; only diffusion steps may differ."""

    def build(name: str, start: StageStart) -> Stage:
        torch.manual_seed(start.config.manual_seed)
        teacher = DiffIR(arch_of(start), stage=1)
        teacher.load_state_dict(load_diffir(start, teacher_file, PRIOR).state_dict())
        return kind(teacher, start.config.stages[DIFFUSION])

    return build


def without_prior(name: str, start: StageStart) -> NoPrior:
    """DIRformer of ``path.pretrain_network_g``, and a constant prior that begins as the mean of its priors."""
    weights = start.config.path.pretrain_network_g
    if weights is None:
        raise ConfigError("path.pretrain_network_g: name the weights to start from")
    torch.manual_seed(start.config.manual_seed)
    stage = NoPrior(arch_of(start), start.config.stages[PRIOR])
    stage.take_over(load_diffir(start, weights, DIFFUSION), start.first_lq())
    return stage


def without_stage_one(name: str, start: StageStart) -> Stage:
    """The same start, and a regressed prior without a teacher: lq to prior to image, learnt in one piece."""
    begun = without_prior(PRIOR, start).network
    stage = RegressedPrior(begun, start.config.stages[DIFFUSION])
    stage.network.cpen.mlp[-1].load_state_dict(begun.cpen.mlp[-1].state_dict())
    return stage
