"""Whether tensors are those of a DiffIR network, and the network that holds them.

In: a state dict with our names and the settings it should fit. Out: a network in eval mode, float32, CPU; or one line
that says which tensor is missing, unexpected or of another shape.
"""

from collections.abc import Mapping

import torch
from torch import Tensor, nn

from diffir.archs import ArchSettings, DiffIR, Stage
from diffir.errors import WeightsError


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
def take_what_fits(module: nn.Module, donor: nn.Module) -> None:
    """Start from the tensors of a similar module: those of the same name whose shape fits; the rest stays as it is.

    A convolution that has more input channels than the donor's takes the donor's and is blind to the others: so a
    network for RGB and a mask starts as one for RGB.

    Raises:
        WeightsError: nothing fits.
    """
    given, taken = donor.state_dict(), 0
    for name, tensor in module.state_dict().items():
        source = given.get(name)
        if source is None:
            continue
        if source.shape == tensor.shape:
            tensor.copy_(source)
        elif _is_wider_input(tensor, source):
            tensor.zero_()[:, : source.shape[1]] = source
        else:
            continue
        taken += 1
    if not taken:
        raise WeightsError("no part of these weights fits the network")


def _is_wider_input(tensor: Tensor, source: Tensor) -> bool:
    """Both are kernels of convolutions that differ in nothing but a larger number of input channels."""
    ours, theirs = tensor.shape, source.shape
    return len(ours) == len(theirs) == 4 and (ours[0], *ours[2:]) == (theirs[0], *theirs[2:]) and ours[1] > theirs[1]


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
