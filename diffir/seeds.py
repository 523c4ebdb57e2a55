"""Random generators of a training run, each of which depends only on the run's seed and the generator's purpose.

In: whole numbers, such as seed, stage and step. Out: a torch generator. Since each generator serves one step only, a
resumed run draws the same numbers as an uninterrupted one.
"""

import numpy as np
import torch

_WORD = 2**32  # numpy mixes words of 32 bits


def generator_for(*key: int) -> torch.Generator:
    """Return a new generator for a key; other keys give other numbers.

    It is on the CPU, so that a seed gives the same numbers on every device.
    """
    seed = int(np.random.SeedSequence(_words(key)).generate_state(1, np.uint64)[0])
    return torch.Generator().manual_seed(seed >> 1)  # torch takes 63 bits


def _words(key: tuple[int, ...]) -> list[int]:
    """Return 32-bit words that differ for all keys: numpy appends zeros, so (1, 2) would equal (1, 2, 0) otherwise."""
    return [len(key), *(word for number in key for word in divmod(number, _WORD))]
