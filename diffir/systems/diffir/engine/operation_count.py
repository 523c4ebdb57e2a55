"""Count the multiply-adds of a DiffIR network as it is written in the paper.

This implementation multiplies attention and output projection first, which saves a product. The saved product is
counted nevertheless, so that the numbers are comparable with those of the paper.
"""

import copy

import torch
from torch import Tensor

from diffir.inference.multiply_adds import multiply_adds_of
from diffir.systems.diffir.dirformer import DMTA
from diffir.systems.diffir.network import DiffIR


def count_multiply_adds(network: DiffIR, *, side: int) -> int:
    """Number of multiply-adds for one input of side x side pixels.

    They are counted on a copy of the network on the meta device, where no arithmetic is done.
    """
    on_meta = copy.deepcopy(network).float().to("meta").eval()
    lq = torch.empty(1, network.settings.in_channels, side, side, device="meta")
    saved = 0

    def count_saved(dmta: DMTA, args: tuple[Tensor], output: Tensor) -> None:
        nonlocal saved
        channels, height, width = output.shape[1:]
        # Attention times values, minus projection times attention.
        saved += (height * width - channels) * channels**2 // dmta.heads

    for module in on_meta.modules():
        if isinstance(module, DMTA):
            module.register_forward_hook(count_saved)
    return multiply_adds_of(lambda: on_meta(lq)) + saved
