"""Python interface of the compiled training of a block: its result, and the gradients of everything that it receives.

In: a map (B, H, W, C), the prior and the weights, float32. The way forward keeps little for the way back, which
recomputes the rest row by row. Sums over pixels are made in pieces whose number does not depend on the threads, so
results do not either.
"""

import ctypes
from collections.abc import Sequence
from functools import cache

import torch
from torch import Tensor

from diffir.native.bindings import Kernels, find_kernels

_LONG, _POINTER = ctypes.c_long, ctypes.c_void_p
_Tensors = _POINTER * 15
"""BlockTensors of src/tasks.h: map, prior, temperature, then six weights of each half."""


class _BlockTask(ctypes.Structure):
    """The structure of src/tasks.h, with the same fields in the same order."""

    _fields_ = (
        *((name, _LONG) for name in ("images", "height", "width", "channels", "prior_width", "heads", "hidden")),
        ("tensors", _Tensors),
        ("out", _POINTER),
        ("kept", _POINTER),
    )


class BlockKernels:
    """A block of DIRformer, forward and backward.

    Its tensors are in the order of ``BlockTensors`` in src/tasks.h: map (B, H, W, C), prior (B, P), temperature
    (heads, 1, 1), then of attention and of the gated network each: weight and bias (C) of the norm, modulation (2C, P),
    1x1 convolution, depthwise convolution, last 1x1 convolution. Without bias the norm does not subtract the mean.
    """

    def __init__(self, kernels: Kernels) -> None:
        self._kind = kernels.kind
        self._floats, self._forward, self._backward = (
            kernels.function(f"diffir_block_{name}") for name in ("floats", "forward", "backward")
        )
        self._floats.restype = _LONG

    def forward(self, tensors: Sequence[Tensor | None]) -> tuple[Tensor, Tensor]:
        """Return the map after the block, (B, H, W, C), and what ``backward`` needs."""
        task = _task(tensors)
        kept = torch.empty(self._floats(self._kind, ctypes.byref(task)))
        out = torch.empty_like(_map_of(tensors))
        task.kept, task.out = kept.data_ptr(), out.data_ptr()
        _check(self._forward(self._kind, ctypes.byref(task), torch.get_num_threads()))
        return out, kept

    def backward(self, tensors: Sequence[Tensor | None], kept: Tensor, upstream: Tensor) -> list[Tensor | None]:
        """Return the gradients of all tensors, given that of the result, (B, H, W, C)."""
        assert upstream.shape == _map_of(tensors).shape and upstream.is_contiguous() and upstream.dtype == torch.float32
        task = _task(tensors)
        task.kept = kept.data_ptr()
        found = [None if tensor is None else torch.empty_like(tensor) for tensor in tensors]
        pointers = _pointers(found)
        status = self._backward(
            *(self._kind, ctypes.byref(task), pointers, _POINTER(upstream.data_ptr()), torch.get_num_threads())
        )
        _check(status)
        return found


@cache
def find_gradient_kernels() -> BlockKernels | None:
    """Return the kernels for training on this processor, or None if there are none."""
    kernels = find_kernels("fp32")
    if kernels is None or kernels.function("diffir_block_layout")() != ctypes.sizeof(_BlockTask):
        return None
    return BlockKernels(kernels)


def _task(tensors: Sequence[Tensor | None]) -> _BlockTask:
    prior, temperature, project = tensors[1], tensors[2], tensors[-1]
    assert prior is not None and temperature is not None and project is not None
    sizes = (*_map_of(tensors).shape, prior.shape[1], len(temperature), project.shape[1])
    return _BlockTask(*sizes, _pointers(tensors))


def _map_of(tensors: Sequence[Tensor | None]) -> Tensor:
    first = tensors[0]
    assert first is not None
    return first


def _pointers(tensors: Sequence[Tensor | None]) -> "ctypes.Array[ctypes.c_void_p]":
    for tensor in tensors:
        assert tensor is None or (tensor.is_contiguous() and tensor.dtype == torch.float32)
    return _Tensors(*(None if tensor is None else tensor.data_ptr() for tensor in tensors))


def _check(status: int) -> None:
    if status:
        raise MemoryError("out of memory in the compiled kernels")
