"""Variants of the stages for an ablation study of the prior and of its diffusion; each variant leaves one of them out.

Each variant is trained like the stage that it replaces and differs only in the prior (tools/prior_ablation.py). DiffIR
(Xia et al., ICCV 2023) calls the regressed prior variant V1.
"""

from pathlib import Path

import torch
from torch import Tensor, nn

from diffir.errors import ConfigError
from diffir.system import BuildStage, Stage, StageStart
from diffir.systems.diffir.initial_weights import arch_of, given, load_diffir
from diffir.systems.diffir.network import DiffIR
from diffir.systems.diffir.stages import StageOne, StageTwo, last_layer
from diffir.systems.diffir.system import DIFFUSION, PRIOR


class RegressedPrior(StageTwo):
    """Stage 2 without diffusion: the output of CPEN is used as the prior; everything else is equal."""

    def estimate(self, network: DiffIR, lq: Tensor, noise: Tensor, oracle: Tensor | None) -> Tensor:
        """The output of CPEN, (B, P), as the prior; noise and oracle are not used."""
        return network.condition(lq)

    @property
    def last_of_prior(self) -> nn.Linear:
        """The last layer of CPEN, since there is no denoiser after it."""
        return last_layer(self.network.cpen.mlp)


class NoPrior(StageOne):
    """Stage 1 with one learnt prior for all photos, because the input of CPEN is black."""

    def prior(self, network: DiffIR, lq: Tensor, gt: Tensor, noise: Tensor) -> Tensor:
        """The learnt prior (B, P); all rows are equal."""
        return network.oracle_prior(torch.zeros_like(lq), torch.zeros_like(gt))


def stage_two_of(teacher_file: Path, kind: type[StageTwo]) -> BuildStage:
    """Make a builder of a stage 2 of class ``kind`` whose teacher is the stage-1 network in a file.

    The settings of both may differ only in the number of diffusion steps.
    """

    def build(name: str, start: StageStart) -> Stage:
        torch.manual_seed(start.config.manual_seed)
        teacher = DiffIR(arch_of(start), stage=1)
        teacher.load_state_dict(load_diffir(start, teacher_file, PRIOR).state_dict())
        stage = kind(teacher, start.config.stages[DIFFUSION])
        if teacher.settings.thumbnail:
            stage.start_from_teacher(start.first_samples())
        return stage

    return build


def without_prior(name: str, start: StageStart) -> NoPrior:
    """Build a ``NoPrior`` stage from given weights of the prior; its prior starts as the mean of the old ones."""
    weights = given(start.config, PRIOR)
    if weights is None:
        raise ConfigError("path.start: name weights for prior to start from")
    torch.manual_seed(start.config.manual_seed)
    stage = NoPrior(arch_of(start), start.config.stages[PRIOR])
    stage.take_over(load_diffir(start, weights, DIFFUSION), start.first_samples().lq)
    return stage


def without_stage_one(name: str, start: StageStart) -> Stage:
    """Build a ``RegressedPrior`` stage that starts like ``without_prior``.

    The regressed prior and DIRformer then learn jointly, without a stage 1 that was trained before.
    """
    begun = without_prior(PRIOR, start).network
    stage = RegressedPrior(begun, start.config.stages[DIFFUSION])
    stage.network.cpen.mlp[-1].load_state_dict(begun.cpen.mlp[-1].state_dict())
    return stage
