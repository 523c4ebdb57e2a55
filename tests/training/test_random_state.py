"""The global random generators continue from a saved state."""

import random

import numpy as np
import torch

from diffir.training.random_state import random_state, restore_random_state


def numbers() -> tuple[float, float, float, float]:
    return random.random(), random.gauss(0, 1), float(np.random.normal()), torch.rand(()).item()


def test_restored_generators_draw_what_they_would_have_drawn():
    numbers()  # leaves the second number of a Gaussian pair in Python's and NumPy's generators
    state = random_state()
    expected = [numbers() for _ in range(3)]

    restore_random_state(state)

    assert [numbers() for _ in range(3)] == expected


def test_the_state_survives_a_file_that_is_read_without_running_code(tmp_path):
    torch.save(random_state(), tmp_path / "state.pt")
    expected = numbers()

    restore_random_state(torch.load(tmp_path / "state.pt", weights_only=True))

    assert numbers() == expected
