"""Partial loading: start a DIRformer from the tensors of another one that fit, such as those of another task."""

import torch
from torch import Tensor

from diffir.errors import WeightsError
from diffir.systems.diffir.dirformer import DIRformer


@torch.no_grad()
def take_what_fits(network: DIRformer, donor: DIRformer) -> None:
    """Copy the tensors of another DIRformer that have the same name and shape; the rest stays as it is.

    Where the network takes a mask beside RGB and the donor does not, the first convolution copies the RGB filters and
    the mask channel's filters start at zero.

    Raises:
        WeightsError: nothing fits.
    """
    given, ours = donor.state_dict(), network.state_dict()
    first = "patch_embed.weight"
    if network.settings.unshuffle != donor.settings.unshuffle:  # other channels, even where there are as many
        del given[first]
    fitting = [name for name in ours if name in given and given[name].shape == ours[name].shape]
    for name in fitting:
        ours[name].copy_(given[name])
    if first in given and _gained_channels(given[first], ours[first]):
        ours[first].zero_()[:, : given[first].shape[1]] = given[first]
        fitting.append(first)
    if not fitting:
        raise WeightsError("no part of these weights fits the network")


def _gained_channels(before: Tensor, after: Tensor) -> bool:
    return before.shape[0] == after.shape[0] and before.shape[1] < after.shape[1]
