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


def without_stage_one(name: str, start: StageStart) -> Stage:
    """Build a ``RegressedPrior`` stage from given weights; its prior starts as the mean of their priors.

    The regressed prior and DIRformer then learn jointly, without a stage 1 that was trained before.
    """
    weights = given(start.config, PRIOR)
    if weights is None:
        raise ConfigError("path.start: name weights for prior to start from")
    torch.manual_seed(start.config.manual_seed)
    begun = StageOne(arch_of(start), start.config.stages[PRIOR])
    begun.take_over(load_diffir(start, weights, DIFFUSION), start.first_samples().lq)
    stage = RegressedPrior(begun.network, start.config.stages[DIFFUSION])
    stage.network.cpen.mlp[-1].load_state_dict(begun.network.cpen.mlp[-1].state_dict())
    return stage
