"""Multiply-adds of one call, as papers state them: convolutions and matrix products count, additions do not.

One multiply-add is two of torch's flops.
"""

from collections.abc import Callable

import torch
from torch.utils.flop_counter import FlopCounterMode

SIDE = 256  # pixels a side of the input that papers of this field state


def multiply_adds_of(work: Callable[[], object]) -> int:
    """Multiply-adds of everything that torch computes in a call."""
    counter = FlopCounterMode(display=False)
    with counter, torch.no_grad():
        work()
    return counter.get_total_flops() // 2
