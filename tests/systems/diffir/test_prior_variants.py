"""Tests of the variants of stages for the ablation study."""

import torch

from diffir.config import TrainConfig
from diffir.system import Pair
from diffir.systems.diffir import DiffIR
from diffir.systems.diffir.prior_variants import RegressedPrior
from diffir.systems.diffir.tasks import get_task

TINY = get_task("denoise_tiny").arch


def test_a_regressed_prior_is_cpens_view_whatever_the_noise() -> None:
    stage = RegressedPrior(DiffIR(TINY, 1), TrainConfig(total_iter=1))
    lq = torch.rand(2, 3, 32, 32)

    prior = stage.prior(stage.network, lq, lq, torch.randn(2, TINY.prior_width))

    assert torch.equal(prior, stage.network.condition(lq))


def test_a_regressed_prior_is_what_the_losses_train() -> None:
    stage = RegressedPrior(DiffIR(TINY, 1), TrainConfig(total_iter=1))
    lq = torch.rand(1, 3, 32, 32)

    next(stage.losses(Pair(lq, lq), stage.phases[0], torch.randn(1, TINY.prior_width))).total.backward()

    assert all(parameter.grad is None for parameter in stage.network.denoiser.parameters())
    assert all(parameter.grad is not None for parameter in stage.network.cpen.parameters())
