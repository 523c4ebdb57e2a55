"""Compare a state dict with the network that a card describes, and build the network from it.

In: a state dict with diffir's names, a system, settings and a part. Out: a network in eval mode, float32, on the CPU;
or one line that names a tensor which is missing, unexpected or of another shape.
"""

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn

from diffir._version import __version__
from diffir.errors import ConfigError, WeightsError
from diffir.system import System


def empty_network(system: System, settings: Mapping[str, Any], part: str, source: str) -> nn.Module:
    """Build the network on the device "meta": names and shapes without memory, in 0.1 s at any size.

    Raises:
        WeightsError: the system does not know these settings or this part.
    """
    try:
        with torch.device("meta"):
            return system.build(settings, part)
    except ConfigError as error:
        raise WeightsError(
            f"{source} has a card that diffir {__version__} cannot read ({error}): a newer diffir may have made it"
        ) from error


def check_fit(state: Mapping[str, Tensor], network: nn.Module, part: str, source: str) -> None:
    """Compare names and shapes of the tensors with those of the network; the message names ``source``.

    Raises:
        WeightsError: names the first tensor that is missing, unexpected or of another shape, and counts the others.
    """
    expected = {name: tuple(tensor.shape) for name, tensor in network.state_dict().items()}
    found = {name: tuple(tensor.shape) for name, tensor in state.items()}
    # Collect all differences.
    faults = [f"{name} is missing" for name in expected.keys() - found.keys()]
    faults += [f"{name} is not a part of it" for name in found.keys() - expected.keys()]
    faults += [
        f"{name} is {_sides(found[name])}, not {_sides(expected[name])}"
        for name in expected.keys() & found.keys()
        if found[name] != expected[name]
    ]
    faults += [f"{name} is of complex numbers" for name, tensor in state.items() if tensor.is_complex()]
    if faults:
        more = f" (and {len(faults) - 1} more)" if len(faults) > 1 else ""
        raise WeightsError(f"{source} does not fit the {part} part of {type(network).__name__}: {min(faults)}{more}")


def filled_network(state: Mapping[str, Tensor], network: nn.Module, part: str, source: str) -> nn.Module:
    """Fill an empty network with weights: float32, on the CPU, in eval mode; raises the errors of ``check_fit``."""
    check_fit(state, network, part, source)
    # Copy the tensors: they may be mapped from a file that is overwritten later.
    dtypes = {name: tensor.dtype for name, tensor in network.state_dict().items()}
    copies = {name: tensor.to("cpu", dtypes[name], copy=True) for name, tensor in state.items()}
    network.load_state_dict(copies, assign=True)
    return network.eval()


def _sides(shape: tuple[int, ...]) -> str:
    return " x ".join(map(str, shape)) or "a single number"
