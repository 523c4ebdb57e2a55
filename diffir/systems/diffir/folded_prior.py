"""Fold a fixed prior into the weights of a network, which then needs neither CPEN nor denoiser.

Where every photo has the same prior, as in denoising, its estimate is time and memory for nothing. The modulation of a
block is linear in the prior (DiffIR, Xia et al., ICCV 2023), so under a fixed one it is a gain and a shift per channel.
"""

from dataclasses import replace

import torch
from torch import Tensor

from diffir.systems.diffir.network import DiffIR

_MODULATION = "modulation.linear.weight"


@torch.no_grad()
def fold_prior(network: DiffIR, prior: Tensor) -> DiffIR:
    """The network without a prior that computes what a stage-2 network computes under this prior (1, P)."""
    folded = DiffIR(replace(network.settings, prior_width=0), stage=2)
    state = network.dirformer.state_dict()
    for name in state:
        if name.endswith(_MODULATION):
            state[name] = state[name] @ prior.to(state[name]).T
    folded.dirformer.load_state_dict(state)
    return folded
