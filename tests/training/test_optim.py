"""The learning rate is a function of the step."""

import pytest

from diffir.config import SchedulerConfig
from diffir.training.optim import learning_rate


def rate(step: int, scheduler: SchedulerConfig, **changes) -> float:
    return learning_rate(scheduler, 1e-3, step, 100, **changes)


def test_cosine_falls_from_the_rate_to_eta_min():
    cosine = SchedulerConfig("Cosine", eta_min=1e-5)

    rates = [rate(step, cosine) for step in range(101)]

    assert rates[0] == pytest.approx(1e-3)
    assert rates[50] == pytest.approx((1e-3 + 1e-5) / 2)
    assert rates[100] == pytest.approx(1e-5)
    assert rates == sorted(rates, reverse=True)


def test_an_eta_min_above_the_rate_does_not_raise_it():
    assert rate(100, SchedulerConfig("Cosine", eta_min=1.0)) == pytest.approx(1e-3)


def test_multi_step_halves_at_its_milestones():
    steps = SchedulerConfig("MultiStepLR", milestones=(10, 20), gamma=0.5)

    assert [rate(step, steps) for step in (9, 10, 20)] == pytest.approx([1e-3, 5e-4, 2.5e-4])


def test_warm_up_rises_to_the_full_rate():
    constant = SchedulerConfig("Constant")

    assert [rate(step, constant, warmup=10) for step in (0, 4, 9, 50)] == pytest.approx([1e-4, 5e-4, 1e-3, 1e-3])
