"""A block of DIRformer as one autograd function whose forward and backward passes are compiled kernels.

In and out: feature maps (B, C, H, W), channels last. It computes what ``Block`` computes in torch, and keeps two maps
beside the one that it receives instead of every intermediate result. Training on the CPU takes it where the kernels
are. Under autocast it computes in float32.
"""

from typing import Any

import torch
from torch import Tensor
from torch.amp import custom_bwd, custom_fwd

from diffir.native.gradients import BlockKernels, find_gradient_kernels


def is_possible(x: Tensor) -> bool:
    """True if gradients will be wanted, on a CPU whose kernels were built, and nobody is recording the operators."""
    return (
        torch.is_grad_enabled()
        and x.device.type == "cpu"
        and (x.dtype == torch.float32 or torch.is_autocast_enabled("cpu"))
        and not torch.compiler.is_compiling()
        and not torch.jit.is_tracing()
        and find_gradient_kernels() is not None
    )


class FusedBlock(torch.autograd.Function):
    """Map (B, C, H, W), prior (B, P) and the weights of a block, in the order of ``BlockKernels``, to the next map."""

    @staticmethod
    @custom_fwd(device_type="cpu", cast_inputs=torch.float32)
    def forward(ctx: Any, x: Tensor, prior: Tensor, *weights: Tensor | None) -> Tensor:
        tensors = (_pixels(x), prior.contiguous(), *weights)
        out, kept = _kernels().forward(tensors)
        ctx.save_for_backward(kept, *tensors)
        return out.permute(0, 3, 1, 2)

    @staticmethod
    @custom_bwd(device_type="cpu")
    def backward(ctx: Any, upstream: Tensor) -> tuple[Tensor | None, ...]:
        if torch.is_grad_enabled():  # asked for with create_graph=True
            raise RuntimeError("the compiled kernels have no second derivative; train with engine: torch")
        kept, *tensors = ctx.saved_tensors
        of_map, *others = _kernels().backward(tensors, kept, _pixels(upstream))
        assert of_map is not None
        return of_map.permute(0, 3, 1, 2), *others


def _kernels() -> BlockKernels:
    kernels = find_gradient_kernels()
    assert kernels is not None
    return kernels


def _pixels(x: Tensor) -> Tensor:
    """A map as (B, H, W, C), without a copy if it is channels last."""
    return x.permute(0, 2, 3, 1).contiguous()
