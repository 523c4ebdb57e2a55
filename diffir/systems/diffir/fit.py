"""Whether tensors are those of a DiffIR network, and the network that holds them.

In: a state dict with our names and the settings it should fit. Out: a network in eval mode, float32, CPU; or one line
that says which tensor is missing, unexpected or of another shape.
"""

from collections.abc import Mapping

import torch
from torch import Tensor

from diffir.errors import WeightsError
from diffir.systems.diffir import ArchSettings, DiffIR, Stage
from diffir.systems.diffir.dirformer import DIRformer


def empty_network(settings: ArchSettings, stage: Stage) -> DiffIR:
    """The network without memory: names and shapes only (device "meta"), ready in 0.1 s at any size."""
    with torch.device("meta"):
        return DiffIR(settings, stage)


def check_fit(state: Mapping[str, Tensor], settings: ArchSettings, stage: Stage, source: str) -> None:
    """Compare names and shapes with those of the network; ``source`` is named in the message.

    Raises:
        WeightsError: the first missing, unexpected or mis-shaped tensor, and how many more.
    """
    _compare(state, empty_network(settings, stage), source)


def filled_network(state: Mapping[str, Tensor], settings: ArchSettings, stage: Stage, source: str) -> DiffIR:
    """The network with these weights: float32, CPU, eval mode. Raises as ``check_fit``."""
    network = empty_network(settings, stage)
    _compare(state, network, source)
    # A copy: the tensors may be a window into a file that somebody overwrites later.
    copies = {name: tensor.to("cpu", torch.float32, copy=True) for name, tensor in state.items()}
    network.load_state_dict(copies, assign=True)
    return network.eval()


@torch.no_grad()
def take_what_fits(network: DIRformer, donor: DIRformer) -> None:
    """Start from the tensors of another DIRformer: those of the same name whose shape fits; the rest stays as it is.

    A network that takes a mask beside RGB starts as the donor for RGB, blind to the mask.

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


def _compare(state: Mapping[str, Tensor], network: DiffIR, source: str) -> None:
    expected = {name: tuple(tensor.shape) for name, tensor in network.state_dict().items()}
    found = {name: tuple(tensor.shape) for name, tensor in state.items()}
    faults = [f"{name} is missing" for name in expected.keys() - found.keys()]
    faults += [f"{name} is not a part of it" for name in found.keys() - expected.keys()]
    faults += [
        f"{name} is {_sides(found[name])}, not {_sides(expected[name])}"
        for name in expected.keys() & found.keys()
        if found[name] != expected[name]
    ]
    if faults:
        more = f" (and {len(faults) - 1} more)" if len(faults) > 1 else ""
        raise WeightsError(f"{source} does not fit a stage-{network.stage} DiffIR network: {min(faults)}{more}")


def _sides(shape: tuple[int, ...]) -> str:
    return " x ".join(map(str, shape)) or "a single number"
