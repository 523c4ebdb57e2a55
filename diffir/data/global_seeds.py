"""Seed the global random generators of the process while one sample is made, and restore them afterwards.

The degradation steps of this package draw from the generator they are given. A step of another package may call
``random``, ``numpy.random`` or ``torch.rand``. Its sample must still not depend on the worker process that makes it,
and training must not depend on samples that are made in its own process.
"""

import random
from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
import torch


@contextmanager
def global_seeds(*key: int) -> Iterator[None]:
    """Seed the global generators of Python, numpy and torch (CPU) from ``key`` within the block, then restore them."""
    seeds = np.random.SeedSequence(key).generate_state(3, np.uint32).tolist()
    before = random.getstate(), np.random.get_state(), torch.get_rng_state()
    random.seed(seeds[0])
    np.random.seed(seeds[1])
    torch.default_generator.manual_seed(seeds[2])  # torch.manual_seed would also seed the GPUs
    try:
        yield
    finally:
        random.setstate(before[0])
        np.random.set_state(before[1])
        torch.set_rng_state(before[2])
