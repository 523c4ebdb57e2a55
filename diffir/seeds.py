"""Generators of a training run: each is a pure function of the run's seed and of what it is for.

Because no generator outlives its step, a resumed run draws the very numbers an uninterrupted one would have drawn.
"""

import numpy as np
import torch


def generator_for(device: torch.device, *key: int) -> torch.Generator:
    """A fresh generator on ``device``; equal keys give equal numbers on equal devices."""
    seed = int(np.random.SeedSequence(key).generate_state(1, np.uint64)[0] >> 1)  # torch takes 63 bits
    return torch.Generator(device).manual_seed(seed)
