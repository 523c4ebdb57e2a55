"""Two networks of one shape in one file of weights: one that denoises most, and a weaker twin that keeps grain.

In: the tensors of such a file; those of the twin have names that begin with ``weak.``. Out: the tensors of one network
with weights between both. The method is that of X. Wang et al., "Deep Network Interpolation for Continuous Imagery
Effect Transition", CVPR 2019: it works if one network was trained from the other, or both from the same.
"""

from collections.abc import Mapping

import torch
from torch import Tensor

WEAK = "weak."


def parted(state: Mapping[str, Tensor]) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
    """The tensors of the network that denoises most, and those of its weaker twin, with the same names."""
    strong = {name: tensor for name, tensor in state.items() if not name.startswith(WEAK)}
    weak = {name.removeprefix(WEAK): tensor for name, tensor in state.items() if name.startswith(WEAK)}
    return strong, weak


def joined(strong: Mapping[str, Tensor], weak: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The tensors of both networks as one file holds them."""
    return {**strong, **{WEAK + name: tensor for name, tensor in weak.items()}}


def mixed(strong: Mapping[str, Tensor], weak: Mapping[str, Tensor], denoise_strength: float) -> dict[str, Tensor]:
    """Tensors between those of two networks that have the same names: 1 gives ``strong``, 0 gives ``weak``.

    They are computed in float32 or more, also where files hold half precision. What is no parameter (whole numbers) is
    taken from ``strong``.
    """
    result = dict(strong)
    for name, tensor in strong.items():
        if tensor.is_floating_point():
            dtype = torch.promote_types(tensor.dtype, torch.float32)
            result[name] = weak[name].to(dtype).lerp(tensor.to(dtype), denoise_strength)
    return result
