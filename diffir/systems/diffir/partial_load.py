"""Partial loading: initialise a DIRformer from another one, such as that of another task, where tensors fit."""

import re

import torch
from torch import Tensor

from diffir.errors import WeightsError
from diffir.systems.diffir.dirformer import DIRformer
from diffir.systems.diffir.layers import MODULATION_STD
from diffir.systems.diffir.tail import OneConvTail, Tail


@torch.no_grad()
def take_what_fits(network: DIRformer, donor: DIRformer) -> None:
    """Copy the tensors of another DIRformer that have the same name and shape; the others keep their values.

    Blocks beyond those of the donor change nothing at first. If the donor has no prior, its gains and shifts become
    those of a prior of ones.

    If the network takes RGB and a mask and the donor takes RGB alone, the first convolution copies the RGB filters, and
    the filters of the mask channel start at zero. Output layers that upsample fit their form with one convolution.

    Raises:
        WeightsError: no tensor fits.
    """
    # The first convolution does not fit if the channels of its input mean something else.
    given, ours = donor.state_dict(), network.state_dict()
    first = "patch_embed.weight"
    if network.settings.unshuffle != donor.settings.unshuffle:
        del given[first]
    fitting = [name for name in ours if name in given and given[name].shape == ours[name].shape]
    for name in fitting:
        ours[name].copy_(given[name])
    if network.settings.prior_width and not donor.settings.prior_width:
        fitting += _spread_modulations(ours, given)
    if isinstance(network.output, OneConvTail) and isinstance(donor.output, Tail):
        fitting += _take_tail(network.output, donor.output)

    # Blocks that the donor does not have start as the identity, so that the network starts as good as its donor.
    for name in ours:
        first_block = re.sub(r"\.\d+\.", ".0.", name, count=1)
        if name not in given and first_block in fitting and name.endswith("project_out.weight"):
            ours[name].zero_()

    # A donor without a mask: its filters for RGB fit nevertheless.
    if first in given and _gained_channels(given[first], ours[first]):
        ours[first].zero_()[:, : given[first].shape[1]] = given[first]
        fitting.append(first)
    if not fitting:
        raise WeightsError("no part of these weights fits the network")


def _spread_modulations(ours: dict[str, Tensor], given: dict[str, Tensor]) -> list[str]:
    """Share the constants of a donor without a prior among all numbers of the prior; return the names of what was set.

    Small random weights stay, so that the prior has an effect from the first step.
    """
    names = [name for name in ours if name.endswith("modulation.linear.weight") and name in given]
    names = [name for name in names if len(ours[name]) == len(given[name])]
    for name in names:
        width = ours[name].shape[1]
        ours[name].copy_(torch.randn_like(ours[name]) * MODULATION_STD + given[name] / width)
    return names


def _take_tail(output: OneConvTail, tail: Tail) -> list[str]:
    """Copy output layers of the released form into those with one convolution; return the names of what was copied."""
    equal = OneConvTail.equal_to(tail).conv
    if equal.weight.shape != output.conv.weight.shape:
        return []
    output.conv.load_state_dict(equal.state_dict())
    return ["output.conv.weight"]


def _gained_channels(before: Tensor, after: Tensor) -> bool:
    return before.shape[0] == after.shape[0] and before.shape[1] < after.shape[1]
