"""Tests of the diffusion of prior vectors."""

import pytest
import torch

from diffir.systems.diffir.diffusion import Schedule

OFFICIAL = Schedule.linear_in_sqrt(4, 0.1, 0.99)
# Constants that are stored in the released checkpoints.
TABLE = {
    "betas": (0.10000000, 0.29428563, 0.59095228, 0.99000001),
    "alphas_cumprod": (0.90000000, 0.63514292, 0.25980377, 0.00259804),
    "posterior_mean_coef1": (1.00000000, 0.76518691, 0.63626975, 0.50592679),
    "posterior_mean_coef2": (0.00000000, 0.23024580, 0.31525564, 0.07421243),
}


@pytest.mark.parametrize("name", TABLE)
def test_the_schedule_is_that_of_the_released_networks(name):
    assert getattr(OFFICIAL, name) == pytest.approx(TABLE[name], abs=3e-8)  # float32 rounding


@pytest.mark.parametrize("num_timesteps", [1, 2, 4, 100])
def test_signal_and_noise_keep_unit_variance(num_timesteps):
    schedule = Schedule.linear_in_sqrt(num_timesteps, 0.1, 0.9)

    for signal, noise in zip(schedule.sqrt_alphas_cumprod, schedule.sqrt_one_minus_alphas_cumprod, strict=True):
        assert signal**2 + noise**2 == pytest.approx(1, abs=1e-6)


def test_the_posterior_mean_of_a_noiseless_walk_is_the_noiseless_walk():
    """If x_t = sqrt(abar_t) x_start, then the mean of x_{t-1} must be sqrt(abar_{t-1}) x_start."""
    schedule = Schedule.linear_in_sqrt(6, 0.05, 0.6)

    for t in range(1, 6):
        mean = schedule.posterior_mean_coef1[t] + schedule.posterior_mean_coef2[t] * schedule.sqrt_alphas_cumprod[t]
        assert mean == pytest.approx(schedule.sqrt_alphas_cumprod[t - 1], abs=1e-6)


def test_a_jump_to_step_t_has_the_variance_of_the_schedule():
    noise = torch.randn(1000, 200, generator=torch.Generator().manual_seed(0))

    x_t = OFFICIAL.q_sample(torch.full_like(noise, 3.0), 2, noise)

    assert x_t.mean().item() == pytest.approx(3 * OFFICIAL.alphas_cumprod[2] ** 0.5, abs=0.01)
    assert x_t.var().item() == pytest.approx(1 - OFFICIAL.alphas_cumprod[2], abs=0.01)


def test_the_last_step_returns_the_prediction_itself():
    prediction = torch.rand(2, 8)

    chain = OFFICIAL.reverse_chain(lambda x, t: prediction, torch.randn(2, 8))

    assert len(chain) == 4
    assert torch.equal(chain[-1], prediction)


def test_the_chain_asks_for_every_step_from_the_noisiest_down():
    asked = []

    OFFICIAL.reverse_chain(lambda x, t: asked.append(t) or x, torch.randn(1, 8))

    assert asked == [3, 2, 1, 0]


def test_gradients_reach_the_start_through_all_steps():
    start = torch.randn(1, 8, requires_grad=True)

    OFFICIAL.reverse_chain(lambda x, t: 0.5 * x, start)[-1].sum().backward()

    assert start.grad is not None and start.grad.abs().min() > 0
