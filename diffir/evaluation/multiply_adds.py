"""Multiply-adds of a network on one input, as papers state them.

Convolutions and matrix products count, additions and activations do not; one multiply-add is two of torch's flops.
"""

import copy
from collections.abc import Callable

import torch
from torch.utils.flop_counter import FlopCounterMode

from diffir.archs import DiffIR

SIDE = 256  # pixels of the input: what papers of this field state


def count_multiply_adds(network: DiffIR, *, side: int = SIDE) -> int:
    """Of one input of side x side pixels, by a copy that holds no numbers: nothing is computed."""
    hollow = copy.deepcopy(network).float().to("meta").eval()
    lq = torch.empty(1, network.settings.in_channels, side, side, device="meta")
    return multiply_adds_of(lambda: hollow(lq))


def multiply_adds_of(work: Callable[[], object]) -> int:
    """Of whatever torch computes in a call."""
    counter = FlopCounterMode(display=False)
    with counter, torch.no_grad():
        work()
    return counter.get_total_flops() // 2
