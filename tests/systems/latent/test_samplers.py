"""The samplers follow closed-form solutions where the clean latent is normally distributed.

For clean values with mean m and standard deviation s, the best prediction from x_t is linear in x_t, and the
deterministic path from x_T to x_0 is known: every value keeps its distance from the mean in standard deviations.
"""

import math

import pytest
import torch
from torch import Tensor

from diffir.systems.latent.samplers import ddim, dpm_solver
from diffir.systems.latent.schedule import Predicted, Schedule
from diffir.systems.latent.settings import DiffusionSettings

MEAN, SPREAD = 0.7, 0.4
SCHEDULE = Schedule(DiffusionSettings(spacing="trailing"))


def best_prediction(noisy: Tensor, time: int) -> Predicted:
    alpha = SCHEDULE.alphas[time]
    variance = alpha * SPREAD**2 + 1 - alpha
    clean = MEAN + math.sqrt(alpha) * SPREAD**2 / variance * (noisy - math.sqrt(alpha) * MEAN)
    return Predicted(clean, (noisy - math.sqrt(alpha) * clean) / math.sqrt(1 - alpha))


def exact_path(start: Tensor) -> Tensor:
    """The clean values to which the deterministic path leads from ``start``."""
    alpha = SCHEDULE.alphas[-1]
    return MEAN + SPREAD * (start - math.sqrt(alpha) * MEAN) / math.sqrt(alpha * SPREAD**2 + 1 - alpha)


def error(path, start: Tensor) -> float:
    *_, last = path
    return float((last - exact_path(start)).abs().max())


@pytest.fixture
def start() -> Tensor:
    return torch.randn(1, 1, 8, 8, generator=torch.Generator().manual_seed(3), dtype=torch.float64)


def test_ddim_converges_to_the_exact_path_in_the_first_order(start):
    errors = [error(ddim(best_prediction, SCHEDULE.alphas, SCHEDULE.times(n), start, 0, lambda step: start), start)
              for n in (25, 50, 100)]  # fmt: skip

    assert errors[2] < 0.05
    assert errors[0] / errors[1] == pytest.approx(2, rel=0.3)


def test_the_fast_solver_needs_ten_steps_where_ddim_needs_fifty(start):
    fast = error(dpm_solver(best_prediction, SCHEDULE.alphas, SCHEDULE.times_by_noise(10), start), start)
    slow = error(ddim(best_prediction, SCHEDULE.alphas, SCHEDULE.times(50), start, 0, lambda step: start), start)

    assert fast < slow / 3


def test_noisy_sampling_draws_from_the_distribution():
    generator = torch.Generator().manual_seed(5)
    start = torch.randn(1, 1, 128, 128, generator=generator, dtype=torch.float64)
    noise = lambda step: torch.randn(start.shape, generator=generator, dtype=torch.float64)  # noqa: E731

    *_, last = ddim(best_prediction, SCHEDULE.alphas, SCHEDULE.times(200), start, 1, noise)

    assert float(last.mean()) == pytest.approx(MEAN, abs=0.02)
    assert float(last.std()) == pytest.approx(SPREAD, rel=0.07)  # 200 steps leave it a little narrow


@pytest.mark.parametrize("prediction", ["eps", "v"])
def test_what_a_perfect_denoiser_says_is_the_clean_latent_and_the_noise(prediction):
    schedule = Schedule(DiffusionSettings(prediction=prediction))
    clean, noise = torch.randn(2, 1, 4, 8, 8, dtype=torch.float64)
    time = torch.tensor([400])

    noisy = schedule.noisy(clean, noise, time)
    predicted = schedule.predicted(schedule.target(clean, noise, time), noisy, 400)

    assert torch.allclose(predicted.clean, clean)
    assert torch.allclose(predicted.noise, noise)


def test_every_number_of_steps_has_as_many_different_time_steps():
    for spacing in ("leading", "trailing"):
        schedule = Schedule(DiffusionSettings(spacing=spacing))
        for steps in (1, 3, 30, 37, 105, 333, 1000):
            times = schedule.times(steps)
            assert len(set(times)) == steps == len(times)
            assert times == sorted(times) and times[-1] <= 999

    assert Schedule(DiffusionSettings(spacing="trailing")).times(4)[-1] == 999
