"""Multiply-adds of a network on one input, as papers state them.

Convolutions and matrix products count, additions and activations do not; one multiply-add is two of torch's flops. The
network as the paper writes it is what counts: that ours saves a product by folding attention into its projection is
speed, not another network.
"""

import copy
from collections.abc import Callable

import torch
from torch import Tensor
from torch.utils.flop_counter import FlopCounterMode

from diffir.systems.diffir import DiffIR
from diffir.systems.diffir.dirformer import DMTA

SIDE = 256  # pixels of the input: what papers of this field state


def count_multiply_adds(network: DiffIR, *, side: int = SIDE) -> int:
    """Of one input of side x side pixels, by a copy that holds no numbers: nothing is computed."""
    hollow = copy.deepcopy(network).float().to("meta").eval()
    lq = torch.empty(1, network.settings.in_channels, side, side, device="meta")
    saved = 0

    def count_saved(dmta: DMTA, args: tuple[Tensor], output: Tensor) -> None:
        nonlocal saved
        channels, height, width = output.shape[1:]
        saved += (height * width - channels) * channels**2 // dmta.heads  # attention times values, less the folding

    for module in hollow.modules():
        if isinstance(module, DMTA):
            module.register_forward_hook(count_saved)
    return multiply_adds_of(lambda: hollow(lq)) + saved


def multiply_adds_of(work: Callable[[], object]) -> int:
    """Of whatever torch computes in a call."""
    counter = FlopCounterMode(display=False)
    with counter, torch.no_grad():
        work()
    return counter.get_total_flops() // 2
