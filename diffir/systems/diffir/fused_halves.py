"""The two halves of a block as autograd functions whose forward and backward passes are compiled kernels.

In and out: feature maps (B, C, H, W), channels last. They compute what ``Block`` computes in torch, and keep the map
that they receive, in attention the values too, instead of every intermediate result. Training on the CPU takes them
where the kernels are. Under autocast they compute in float32.
"""

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.amp import custom_bwd, custom_fwd

from diffir.native.bindings import Expansion
from diffir.native.gradients import BackwardPass, GradientKernels, Layers, find_gradient_kernels
from diffir.systems.diffir.channel_attention import attention_matrix, projected

_SIDE_OF_SUMS = 64  # side in pixels of the squares whose sums one thread gathers at a time


def are_possible(x: Tensor) -> bool:
    """True if gradients will be wanted, on a CPU whose kernels were built, and nobody is recording the operators."""
    return (
        torch.is_grad_enabled()
        and x.device.type == "cpu"
        and (x.dtype == torch.float32 or torch.is_autocast_enabled("cpu"))
        and not torch.compiler.is_compiling()
        and not torch.jit.is_tracing()
        and find_gradient_kernels() is not None
    )


class FusedAttention(torch.autograd.Function):
    """Norm, modulation, DMTA and the residual connection."""

    @staticmethod
    @custom_fwd(device_type="cpu", cast_inputs=torch.float32)
    def forward(
        ctx: Any,
        x: Tensor,
        gain: Tensor,
        shift: Tensor,
        qkv: Tensor,
        taps: Tensor,
        temperature: Tensor,
        project: Tensor,
        is_centred: bool,
    ) -> Tensor:
        """
        Args:
            x: (B, C, H, W); gain, shift: (B, C), of norm and modulation together.
            qkv: (3C, C, 1, 1); taps: (3C, 1, 3, 3); temperature: (heads, 1, 1); project: (C, C, 1, 1).
        """
        kernels, maps = _kernels(), _pixels(x)
        height, width = maps.shape[1:3]
        layers = Layers(kernels, qkv, taps, 3)
        weights, spread = layers.packed
        cut = 2 * len(weights) // 3  # queries and keys, then values
        gains, shifts = _padded(kernels, gain), _padded(kernels, shift)

        # Gather the sums, and let the matrix follow from them.
        cell = (min(_SIDE_OF_SUMS, max(-(-height // 2), 8)), _SIDE_OF_SUMS)
        found = []
        for image, gain, shift in zip(maps, gains, shifts, strict=True):
            expansion = Expansion(gain, shift, is_centred, weights[:cut], spread[:cut])
            found.append(kernels.forward.sums(image, expansion, len(temperature), cell))
        products, squares = (torch.stack(sums).sum(dim=(1, 2)) for sums in zip(*found, strict=True))
        mixing = projected(attention_matrix(products, squares, temperature), project)

        # Mix the values.
        out, values = torch.empty_like(maps), torch.empty_like(maps)
        for number, image in enumerate(maps):
            kernels.forward.mix(
                image,
                out[number],
                Expansion(gains[number], shifts[number], is_centred, weights[cut:], spread[cut:]),
                mixing[number, None, None],
                project=None,
                cell=(height, width),
                top=0,
                bottom=height,
                values=values[number],
            )
        ctx.save_for_backward(maps, values, gains, shifts, temperature, project, products, squares, qkv, taps)
        ctx.layers, ctx.is_centred = layers, is_centred
        return out.permute(0, 3, 1, 2)

    @staticmethod
    @custom_bwd(device_type="cpu")
    def backward(ctx: Any, upstream: Tensor) -> tuple[Tensor | None, ...]:
        _check_is_last_derivative()
        maps, values, gains, shifts, temperature, project, products, squares, *_ = ctx.saved_tensors
        arriving = _pixels(upstream)

        # Go back through the small matrices.
        of_mixing = arriving.flatten(1, 2).mT @ values.flatten(1, 2)
        with torch.enable_grad():
            small = [tensor.detach().requires_grad_() for tensor in (products, squares, temperature, project)]
            mixing = projected(attention_matrix(*small[:3]), small[3])
        of_products, of_squares, of_temperature, of_project = torch.autograd.grad(mixing, small, of_mixing)

        found = BackwardPass(maps, arriving, gains, shifts, ctx.is_centred, ctx.layers).attend(
            of_products, of_squares, mixing.detach()
        )
        of_norm = (found.maps.permute(0, 3, 1, 2), found.gain, found.shift)
        return *of_norm, found.weights, found.taps, of_temperature, of_project, None


class FusedFeedForward(torch.autograd.Function):
    """Norm, modulation, DGFN and the residual connection."""

    @staticmethod
    @custom_fwd(device_type="cpu", cast_inputs=torch.float32)
    def forward(
        ctx: Any,
        x: Tensor,
        gain: Tensor,
        shift: Tensor,
        expand: Tensor,
        taps: Tensor,
        project: Tensor,
        is_centred: bool,
    ) -> Tensor:
        """
        Args:
            x: (B, C, H, W); gain, shift: (B, C), of norm and modulation together.
            expand: (2 hidden, C, 1, 1); taps: (2 hidden, 1, 3, 3); project: (C, hidden, 1, 1).
        """
        kernels, maps = _kernels(), _pixels(x)
        channels, hidden = project.shape[:2]
        layers, out = Layers(kernels, expand, taps, 2), torch.empty_like(maps)
        last = kernels.pack(project.view(channels, hidden), (1, channels), (1, hidden))
        gains, shifts = _padded(kernels, gain), _padded(kernels, shift)
        for image, target, gain, shift in zip(maps, out, gains, shifts, strict=True):
            kernels.forward.feed(image, target, Expansion(gain, shift, is_centred, *layers.packed), last, hidden)
        ctx.save_for_backward(maps, gains, shifts, project, expand, taps)
        ctx.layers, ctx.is_centred = layers, is_centred
        return out.permute(0, 3, 1, 2)

    @staticmethod
    @custom_bwd(device_type="cpu")
    def backward(ctx: Any, upstream: Tensor) -> tuple[Tensor | None, ...]:
        _check_is_last_derivative()
        maps, gains, shifts, project, *_ = ctx.saved_tensors
        found, of_project = BackwardPass(maps, _pixels(upstream), gains, shifts, ctx.is_centred, ctx.layers).feed(
            project
        )
        of_norm = (found.maps.permute(0, 3, 1, 2), found.gain, found.shift)
        return *of_norm, found.weights, found.taps, of_project, None


def _check_is_last_derivative() -> None:
    if torch.is_grad_enabled():  # asked for with create_graph=True
        raise RuntimeError("the compiled kernels have no second derivative; train with engine: torch")


def _kernels() -> GradientKernels:
    kernels = find_gradient_kernels()
    assert kernels is not None
    return kernels


def _pixels(x: Tensor) -> Tensor:
    """A map as (B, H, W, C), without a copy if it is channels last."""
    return x.permute(0, 2, 3, 1).contiguous()


def _padded(kernels: GradientKernels, vectors: Tensor) -> Tensor:
    """Append zeros to vectors (B, C) up to whole registers."""
    return F.pad(vectors, (0, kernels.padded(vectors.shape[1]) - vectors.shape[1])).contiguous()
