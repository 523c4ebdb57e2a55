"""Run the blocks of a network with torch and two Triton kernels, on NVIDIA cards.

``TorchBlocks`` with another norm, which reads and writes the map once, and another gate: the depthwise convolution,
GELU and the product are one kernel, so that the map of twice the hidden channels is read once and not written again.
"""

import os
from importlib.util import find_spec

import torch
import torch.nn.functional as F
from torch import Tensor

from diffir.inference.strips import Strip
from diffir.systems.diffir.dirformer import DGFN
from diffir.systems.diffir.engine.torch_blocks import TorchBlocks
from diffir.systems.diffir.layers import ChannelNorm


def has_triton(device: torch.device) -> bool:
    """Return whether Triton can compute for a device: an NVIDIA card, or the CPU with TRITON_INTERPRET=1 (slow)."""
    return find_spec("triton") is not None and (
        (device.type == "cuda" and torch.version.cuda is not None)
        or (device.type == "cpu" and os.environ.get("TRITON_INTERPRET") == "1")
    )


class TritonBlocks(TorchBlocks):
    """Runs blocks on feature maps (B, C, H, W), which are overwritten."""

    def norm(self, norm: ChannelNorm, x: Tensor, modulation: tuple[Tensor, Tensor]) -> Tensor:
        """Normalise and modulate, in the type that the next convolution takes."""
        from diffir.systems.diffir.engine.triton_kernels import modulated_norm

        kind = x.device.type
        dtype = torch.get_autocast_dtype(kind) if torch.is_autocast_enabled(kind) else x.dtype
        with torch.autocast(kind, enabled=False):
            gain, shift = norm.fold(modulation)
        return modulated_norm(x, gain, shift, is_centred=norm.bias is not None, dtype=dtype)

    def gated(self, dgfn: DGFN, normed: Tensor, strip: Strip) -> Tensor:
        """Expand, convolve and gate a strip."""
        from diffir.systems.diffir.engine.triton_kernels import gated_taps

        return strip.inner(gated_taps(F.conv2d(normed, dgfn.project_in.weight), dgfn.dwconv.weight))
