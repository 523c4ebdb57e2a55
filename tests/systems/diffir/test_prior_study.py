"""Tests of the prior study: each kind of prior is the vector that its name describes."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from diffir.api import restorer_of
from diffir.errors import UsageError
from diffir.evaluation import GaussianNoise, Sample
from diffir.evaluation.contestant import network
from diffir.evaluation.prior_rows import NEED_TEACHER, PRIOR_KINDS
from diffir.inference.restorer import Restorer
from diffir.metrics.protocol import Protocol
from diffir.systems.diffir import DiffIR
from diffir.systems.diffir.prior_study import Guide, Teacher, spread_over_noises, with_prior
from diffir.systems.diffir.tasks import get_task

TINY = get_task("denoise_tiny").arch


@pytest.fixture
def restorer() -> Restorer:
    torch.manual_seed(0)
    student = DiffIR(TINY, stage=2)
    # An untrained denoiser hardly depends on its input.
    torch.nn.init.normal_(student.denoiser.layers[-1].weight, std=0.3)
    return restorer_of(student, device="cpu")


@pytest.fixture
def teacher(tmp_path: Path) -> Teacher:
    torch.manual_seed(1)
    (tmp_path / "stage1.safetensors").write_bytes(b"one")
    return Teacher(DiffIR(TINY, stage=1).eval(), tmp_path / "stage1.safetensors")


@pytest.fixture
def samples() -> list[Sample]:
    rng = np.random.default_rng(0)
    return [GaussianNoise(20)(name, rng.integers(0, 256, (32, 48, 3), dtype=np.uint8)) for name in "abc"]


def prior(restorer: Restorer, kind: str, samples: list[Sample], teacher: Teacher | None = None) -> torch.Tensor:
    guide = Guide(restorer, kind, teacher)
    guide.estimate_priors(samples)
    return guide.prior_of(samples[0])


def test_diffusion_is_what_a_user_gets(restorer: Restorer, samples: list[Sample]) -> None:
    restored = Guide(restorer, "diffusion", None).restore(samples[0])

    assert (restored == restorer.restore(samples[0].lq)).all()


def test_mean_and_other_are_taken_from_the_other_images(restorer: Restorer, samples: list[Sample]) -> None:
    estimated = [restorer.estimate_prior_of(sample.lq) for sample in samples]

    torch.testing.assert_close(prior(restorer, "mean", samples), sum(estimated[1:]) / 2)
    assert torch.equal(prior(restorer, "other", samples), estimated[1])


def test_random_is_the_start_noise_and_zero_is_nothing(restorer: Restorer, samples: list[Sample]) -> None:
    assert torch.equal(prior(restorer, "random", samples), restorer.engine.start_noise(0))
    assert prior(restorer, "zero", samples).abs().max() == 0


def test_condition_and_one_step_are_stations_on_the_way(restorer: Restorer, samples: list[Sample]) -> None:
    condition = restorer.engine.condition(restorer.source_of(samples[0].lq))
    first = restorer.engine.network.denoiser(restorer.engine.start_noise(0), TINY.num_timesteps - 1, condition)

    assert torch.equal(prior(restorer, "condition", samples), condition)
    assert torch.equal(prior(restorer, "one-step", samples), first)


def test_the_oracle_sees_the_clean_image(restorer: Restorer, teacher: Teacher, samples: list[Sample]) -> None:
    lq, gt = (torch.from_numpy(np.float32(image)).permute(2, 0, 1)[None] for image in (samples[0].lq, samples[0].gt))

    expected = teacher.network.oracle_prior(lq, gt / 255)

    torch.testing.assert_close(prior(restorer, "oracle", samples, teacher), expected)


def test_sides_that_are_no_multiple_are_filled_for_the_oracle_too(restorer: Restorer, teacher: Teacher) -> None:
    sample = GaussianNoise(20)("odd", np.zeros((21, 35, 3), np.uint8))

    assert torch.isfinite(Guide(restorer, "oracle", teacher).prior_of(sample)).all()


def test_stage1_restores_by_its_own_weights(restorer: Restorer, teacher: Teacher, samples: list[Sample]) -> None:
    before = {name: tensor.clone() for name, tensor in restorer.engine.network.state_dict().items()}

    stage1, oracle = (Guide(restorer, kind, teacher).restore(samples[0]) for kind in NEED_TEACHER[::-1])

    assert np.abs(stage1 - oracle).max() > 1e-4
    assert all(torch.equal(tensor, before[name]) for name, tensor in restorer.engine.network.state_dict().items())


@pytest.mark.parametrize("kind", PRIOR_KINDS)
def test_every_kind_restores_and_has_a_row_of_its_own(
    restorer: Restorer, teacher: Teacher, samples: list[Sample], kind: str
) -> None:
    base = network(restorer, teacher.weights)

    contestant = with_prior(base, restorer, kind, teacher)

    if contestant.prepare is not None:
        contestant.prepare(samples)
    assert contestant.restore(samples[0]).shape == (32, 48, 3)
    assert contestant.settings["prior"] == kind
    assert contestant.name == (base.name if kind == "diffusion" else f"{base.name}, {kind}")


@pytest.mark.parametrize("kind", NEED_TEACHER)
def test_what_needs_stage_1_says_so(restorer: Restorer, teacher: Teacher, kind: str) -> None:
    base = network(restorer, teacher.weights)
    foreign = Teacher(DiffIR(replace(TINY, dim=16), stage=1), teacher.weights)

    with pytest.raises(UsageError, match="--stage1 FILE"):
        with_prior(base, restorer, kind, None)
    with pytest.raises(UsageError, match="other network settings"):
        with_prior(base, restorer, kind, foreign)


def test_start_noises_spread_results_and_one_alone_does_not(restorer: Restorer, samples: list[Sample]) -> None:
    seeds = [[0, 1, 2], [0, 0, 0]]

    wide, none = (
        spread_over_noises([restorer.with_seed(seed) for seed in some], samples, Protocol()) for some in seeds
    )

    assert (none.psnr, none.pixel, none.prior) == (0, 0, 0)
    assert min(wide.psnr, wide.pixel, wide.prior) > 0
    assert restorer.options.seed == 0
