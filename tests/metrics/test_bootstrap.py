"""The bootstrap confidence interval of a mean."""

import math

import numpy as np
import pytest

from diffir.errors import UsageError
from diffir.metrics.bootstrap import interval_of_mean

VALUES = np.random.default_rng(0).normal(30, 2, 100)


def test_the_interval_is_that_of_the_normal_law_for_many_values():
    low, high = interval_of_mean(VALUES)

    half = 1.96 * VALUES.std() / math.sqrt(len(VALUES))
    assert (low, high) == pytest.approx((VALUES.mean() - half, VALUES.mean() + half), abs=0.05)


def test_it_repeats_and_depends_on_the_seed():
    assert interval_of_mean(VALUES) == interval_of_mean(VALUES)
    assert interval_of_mean(VALUES) != interval_of_mean(VALUES, seed=1)


def test_a_higher_level_gives_a_wider_interval():
    (low, high), (lower, higher) = interval_of_mean(VALUES, level=0.5), interval_of_mean(VALUES, level=0.99)

    assert lower < low < high < higher


def test_equal_values_give_an_interval_without_width():
    assert interval_of_mean([0.5] * 8) == (0.5, 0.5)


def test_an_infinite_score_makes_the_upper_end_infinite_and_nothing_else():
    low, high = interval_of_mean([30.0, 31.0, 32.0, 33.0, math.inf])

    assert high == math.inf
    assert 30 <= low < 33


@pytest.mark.parametrize("values", [[], [30.0], [30.0, math.nan]])
def test_what_has_no_interval_gets_no_numbers(values):
    assert all(math.isnan(end) for end in interval_of_mean(values))


@pytest.mark.parametrize("wrong", [{"level": 1.0}, {"level": 0.0}, {"resamples": 0}])
def test_arguments_out_of_range_are_refused(wrong):
    with pytest.raises(UsageError):
        interval_of_mean(VALUES, **wrong)
