"""Generators of a run: equal for equal purposes, different for different ones."""

import torch

from diffir.seeds import generator_for

CPU = torch.device("cpu")


def draw(*key: int) -> torch.Tensor:
    return torch.randn(8, generator=generator_for(CPU, *key))


def test_a_purpose_always_draws_the_same_numbers():
    assert torch.equal(draw(0, 1, 500), draw(0, 1, 500))


def test_seed_stage_and_step_each_change_the_numbers():
    drawn = [draw(0, 1, 500), draw(1, 1, 500), draw(0, 2, 500), draw(0, 1, 501)]

    assert len({tuple(numbers.tolist()) for numbers in drawn}) == 4
