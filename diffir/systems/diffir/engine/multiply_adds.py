"""Multiply-adds of a DiffIR network, counted for the network as the paper writes it.

Our network folds attention into its projection and so saves a product. That is speed, not another network, so the
saved product is counted.
"""

import copy

import torch
from torch import Tensor

from diffir.evaluation.multiply_adds import multiply_adds_of
from diffir.systems.diffir.dirformer import DMTA
from diffir.systems.diffir.network import DiffIR


def count_multiply_adds(network: DiffIR, *, side: int) -> int:
    """Multiply-adds for one input of side x side pixels, on a copy on the meta device; no arithmetic is done."""
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
