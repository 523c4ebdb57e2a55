"""Generators of a training run: each is a pure function of the run's seed and of what it is for.

Because no generator outlives its step, a resumed run draws the very numbers an uninterrupted one would have drawn.
"""

import numpy as np
import torch

_WORD = 2**32  # numpy mixes words of 32 bits


def generator_for(*key: int) -> torch.Generator:
    """A fresh generator on the CPU, so a seed means the same on every device; other keys give other numbers."""
    seed = int(np.random.SeedSequence(_words(key)).generate_state(1, np.uint64)[0] >> 1)  # torch takes 63 bits
    return torch.Generator().manual_seed(seed)


def _words(key: tuple[int, ...]) -> list[int]:
    """Words that no other key has: numpy fills up with zeros, so (1, 2) alone would be (1, 2, 0)."""
    return [len(key), *(word for number in key for word in divmod(number, _WORD))]
