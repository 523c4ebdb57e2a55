"""Seeds of the whole process, for as long as one sample is made: for foreign steps that draw from global generators.

Our own steps draw from the generator they are given. A step that somebody else wrote may call ``random``,
``numpy.random`` or ``torch.rand``; then the sample must not depend on the worker that makes it, nor the training
process on the samples it makes itself.
"""

import random
from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
import torch


@contextmanager
def global_seeds(*key: int) -> Iterator[None]:
    """Within the block, Python's, numpy's and torch's (CPU) generators start from ``key``; afterwards as before it."""
    seeds = np.random.SeedSequence(key).generate_state(3, np.uint32).tolist()
    before = random.getstate(), np.random.get_state(), torch.get_rng_state()
    random.seed(seeds[0])
    np.random.seed(seeds[1])
    torch.default_generator.manual_seed(seeds[2])  # not torch.manual_seed, which would seed GPUs, too
    try:
        yield
    finally:
        random.setstate(before[0])
        np.random.set_state(before[1])
        torch.set_rng_state(before[2])
