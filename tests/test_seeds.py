"""Generators of a run draw equal numbers for equal keys and different ones for different keys."""

import pytest
import torch

from diffir.seeds import generator_for


def draw(*key: int) -> torch.Tensor:
    return torch.randn(8, generator=generator_for(*key))


def test_a_purpose_always_draws_the_same_numbers():
    assert torch.equal(draw(0, 1, 500), draw(0, 1, 500))


def test_seed_stage_and_step_each_change_the_numbers():
    drawn = [draw(0, 1, 500), draw(1, 1, 500), draw(0, 2, 500), draw(0, 1, 501)]

    assert len({tuple(numbers.tolist()) for numbers in drawn}) == 4


@pytest.mark.parametrize(
    ("key", "other"),
    [
        ((7, 1), (7, 1, 0)),
        ((7,), (7, 0)),
        ((7, 1, 0), (7, 1, 0, 0)),
        ((7, 1), (7 + 2**32,)),
        ((7 + 2**32, 5), (7, 1 + 5 * 2**32)),
    ],
)
def test_similar_keys_give_different_numbers(key, other):
    """Keys that differ by appended zeros or hold large numbers give different generators."""
    assert not torch.equal(draw(*key), draw(*other))
