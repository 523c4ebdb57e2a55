"""Tests of the training stages: which parameters are trained in which phase."""

import pytest
import torch

from diffir.config import TrainConfig
from diffir.config_losses import TargetsConfig
from diffir.system import Pair
from diffir.systems.diffir import DiffIR
from diffir.systems.diffir.stages import StageOne, StageTwo
from diffir.systems.diffir.tasks import get_task
from diffir.systems.diffir.training_options import DiffIRTraining
from diffir.training.criterion import sharpened

TINY = get_task("denoise_tiny").arch
LQ, GT = torch.rand(2, 3, 32, 32), torch.rand(2, 3, 32, 32)


@pytest.fixture
def stage_two() -> StageTwo:
    return StageTwo(DiffIR(TINY, stage=1), TrainConfig(total_iter=10, own=DiffIRTraining(encoder_iter=4)))


def losses(stage, phase):
    return next(stage.losses(Pair(LQ, GT), phase, (torch.zeros(2, TINY.prior_width),)))


def test_stage_one_learns_every_parameter_from_the_pixels():
    stage = StageOne(TINY, TrainConfig(total_iter=10, pixel_weight=2.0))

    result = losses(stage, stage.phases[0])
    result.total.backward()

    assert result.total == 2 * result.terms["l_pix"]
    assert all(parameter.grad is not None for parameter in stage.network.parameters())


@torch.no_grad()
def test_the_prior_that_stage_one_takes_over_is_the_mean_one_of_either_sign():
    student, stage = DiffIR(TINY, stage=2), StageOne(TINY, TrainConfig(total_iter=10))
    student.denoiser.layers[-1].bias[::2] = -1.0
    mean = student.estimate_prior(LQ, noise=torch.zeros(2, TINY.prior_width)).mean(dim=0)

    stage.take_over(student, LQ)
    stage.network.cpen.mlp[-1].weight.zero_()  # leaves the bias alone

    assert mean.min() < 0 < mean.max()
    torch.testing.assert_close(stage.network.oracle_prior(LQ, GT), mean.expand(2, -1))


def test_the_teacher_of_stage_two_sees_the_clean_image_as_its_own_stage_did(stage_two):
    plain, sharp = (TrainConfig(total_iter=10, targets=TargetsConfig(prior_gt_usm=usm)) for usm in (False, True))
    told = []
    for config, gt in ((sharp, GT), (plain, sharpened(GT)), (plain, GT)):
        torch.manual_seed(0)
        stage = StageTwo(stage_two.teacher, config)
        told.append(
            next(stage.losses(Pair(LQ, gt), stage.phases[0], (torch.zeros(2, TINY.prior_width),))).terms["l_abs"]
        )

    assert told[0] == told[1] != told[2]


def test_stage_two_inherits_the_dirformer(stage_two):
    teacher, student = stage_two.teacher.dirformer.state_dict(), stage_two.network.dirformer.state_dict()

    assert all(torch.equal(teacher[name], student[name]) for name in teacher)


def test_the_teacher_gets_no_gradient_in_stage_two(stage_two):
    losses(stage_two, stage_two.phases[1]).total.backward()

    assert all(parameter.grad is None for parameter in stage_two.teacher.parameters())


def test_the_encoder_phase_leaves_the_dirformer_alone(stage_two):
    encoder, joint = stage_two.phases

    losses(stage_two, encoder).total.backward()

    assert (encoder.name, encoder.stop, joint.start, joint.stop) == ("prior", 4, 4, 10)
    assert all(parameter.grad is None for parameter in stage_two.network.dirformer.parameters())
    assert all(parameter.grad is not None for parameter in encoder.learners[0].parameters)


def test_the_joint_phase_adds_pixels_to_the_prior(stage_two):
    result = losses(stage_two, stage_two.phases[1])
    result.total.backward()

    assert torch.allclose(result.total, result.terms["l_abs"] + result.terms["l_pix"])
    assert all(parameter.grad is not None for parameter in stage_two.network.parameters())


def test_without_encoder_steps_there_is_only_the_joint_phase():
    stage = StageTwo(DiffIR(TINY, stage=1), TrainConfig(total_iter=10))

    assert [phase.name for phase in stage.phases] == ["joint"]


def test_stage_two_without_a_teacher_learns_every_parameter_from_the_pixels():
    config = TrainConfig(total_iter=10, own=DiffIRTraining(prior_weight=0))
    stage = StageTwo(None, config, network=DiffIR(TINY, stage=2))

    result = losses(stage, stage.phases[0])
    result.total.backward()

    assert list(result.terms) == ["l_pix"] and torch.equal(result.total, result.terms["l_pix"])
    assert all(parameter.grad is not None for parameter in stage.network.parameters())
    assert stage.extra_modules() == []
