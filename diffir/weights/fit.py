"""Compare a state dict with the network that a card describes, and build the network from it.

In: a state dict with diffir's names, a system, settings and a part. Out: a network in eval mode, float32, on the CPU;
or one line that says which tensor is missing, unexpected or of another shape.
"""

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn

from diffir._version import __version__
from diffir.errors import ConfigError, WeightsError
from diffir.system import System


def empty_network(system: System, settings: Mapping[str, Any], part: str, source: str) -> nn.Module:
    """The network on the device "meta": names and shapes without memory, ready in 0.1 s at any size.

    Raises:
        WeightsError: settings or a part that the system does not have.
    """
    try:
        with torch.device("meta"):
            return system.build(settings, part)
    except ConfigError as error:
        raise WeightsError(
            f"{source} has a card that diffir {__version__} cannot read ({error}): a newer diffir may have made it"
        ) from error


def check_fit(state: Mapping[str, Tensor], network: nn.Module, part: str, source: str) -> None:
    """Compare names and shapes with those of the network; ``source`` is named in the message.

    Raises:
        WeightsError: the first missing, unexpected or mis-shaped tensor, and how many more.
    """
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
        raise WeightsError(f"{source} does not fit the {part} part of {type(network).__name__}: {min(faults)}{more}")


def filled_network(state: Mapping[str, Tensor], network: nn.Module, part: str, source: str) -> nn.Module:
    """An empty network filled with these weights: float32, CPU, eval mode. Raises as ``check_fit``."""
    check_fit(state, network, part, source)
    # A copy: the tensors may be a window into a file that somebody overwrites later.
    copies = {name: tensor.to("cpu", torch.float32, copy=True) for name, tensor in state.items()}
    network.load_state_dict(copies, assign=True)
    return network.eval()


def _sides(shape: tuple[int, ...]) -> str:
    return " x ".join(map(str, shape)) or "a single number"
