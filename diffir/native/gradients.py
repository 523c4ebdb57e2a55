"""Python interface of the compiled backward passes: gradients of both halves of a block, for training on the CPU.

In: the feature maps (B, H, W, C) float32 that a half received and the gradients of its results. Out: gradients of the
maps, of norm and modulation, and of the weights. The forward pass is recomputed inside, so that little else need be
kept. Sums over pixels are made in bands of rows, whose number does not depend on the threads, so results do not either.
"""

import ctypes
from dataclasses import dataclass
from functools import cache

import torch
import torch.nn.functional as F
from torch import Tensor

from diffir.native.bindings import Expansion, ExpansionTask, Kernels, find_kernels

_LONG, _POINTER = ctypes.c_long, ctypes.c_void_p
Parts = tuple[int, int]
"""A number of equal parts, and the channels of each."""
_BAND_ROWS = 32  # rows of an image that one thread handles; four more rows are expanded for each


# The structures below have the fields of those in src/tasks.h, in the same order.
class _Shared(ctypes.Structure):
    _fields_ = (
        ("expansion", ExpansionTask),
        ("images", _LONG),
        *((name, _POINTER) for name in ("upstream", "reduce", "flipped_taps", "out")),
        *((name, _POINTER) for name in ("weight_sums", "tap_sums", "gain_sums", "shift_sums")),
    )


class _FeedTask(ctypes.Structure):
    _fields_ = (("shared", _Shared), ("value_offset", _LONG), ("expand", _POINTER), ("project_sums", _POINTER))


class _AttendTask(ctypes.Structure):
    _fields_ = (
        ("shared", _Shared),
        ("key_offset", _LONG),
        *((name, _LONG) for name in ("heads", "head_channels", "head_padded")),
        *((name, _POINTER) for name in ("products", "squares", "mixing")),
    )


class GradientKernels:
    """Kernels in float32 with the functions for the way back, which also pack weights and unpack their gradients."""

    def __init__(self, forward: Kernels) -> None:
        self.forward = forward
        self.lanes, self.padded = forward.lanes, forward.padded
        pointer, long = ctypes.c_void_p, ctypes.c_long
        self._pack = self._function("diffir_pack", pointer, *7 * [long], pointer)
        self._pack_taps = self._function("diffir_pack_taps", pointer, *4 * [long], pointer)
        self._unpack = self._function("diffir_unpack", pointer, *6 * [long], pointer)
        self._unpack_taps = self._function("diffir_unpack_taps", pointer, *4 * [long], pointer)
        self._passes = {
            name: self._function(name, long, pointer, long, long) for name in ("diffir_feed_back", "diffir_attend_back")
        }

    def _function(self, name: str, *types: type) -> "ctypes._NamedFuncPointer":
        function = self.forward.function(name)
        function.argtypes = types
        return function

    def pack(self, matrices: Tensor, outputs: Parts, inputs: Parts, *, turned: bool = False) -> Tensor:
        """Do what ``Kernels.pack`` does, in one call, and pad each part to whole vectors.

        Args:
            matrices: (..., outputs, inputs), or (..., inputs, outputs) if they are to be ``turned`` over.
            outputs, inputs: number of parts and channels of a part.
        """
        depth = inputs[1] if inputs[0] == 1 else inputs[0] * self.padded(inputs[1])
        count = matrices.numel() // (outputs[0] * outputs[1] * inputs[0] * inputs[1])
        packed = torch.empty(count, outputs[0] * self.padded(outputs[1]) // self.lanes, depth, self.lanes)
        held = matrices.contiguous()
        self._pack(held.data_ptr(), count, *outputs, *inputs, turned, self.lanes, packed.data_ptr())
        return packed if matrices.dim() > 2 else packed[0]

    def pack_taps(self, taps: Tensor, parts: Parts, *, flipped: bool = False) -> Tensor:
        """Do what ``Kernels.pack_taps`` does for several parts, on request in reverse order."""
        packed = torch.empty(parts[0] * self.padded(parts[1]) // self.lanes, 9, self.lanes)
        held = taps.contiguous()
        self._pack_taps(held.data_ptr(), *parts, flipped, self.lanes, packed.data_ptr())
        return packed

    def unpack(self, sums: Tensor, parts: Parts, out: Tensor, *, turned: bool = False) -> Tensor:
        """Add up the sums (pieces, rows, padded) of all pieces to ``out``: (rows, channels), or turned over."""
        pieces, rows = sums.shape[:2]
        self._unpack(sums.data_ptr(), pieces, rows, *parts, turned, self.lanes, out.data_ptr())
        return out

    def unpack_taps(self, sums: Tensor, parts: Parts, out: Tensor) -> Tensor:
        """The same for sums (pieces, padded, 9), packed like taps."""
        self._unpack_taps(sums.data_ptr(), len(sums), *parts, self.lanes, out.data_ptr())
        return out

    def run(self, name: str, task: ctypes.Structure) -> None:
        """Call a backward pass."""
        if self._passes[name](self.forward.kind, ctypes.addressof(task), _BAND_ROWS, torch.get_num_threads()):
            raise MemoryError("out of memory in the compiled kernels")


@cache
def find_gradient_kernels() -> GradientKernels | None:
    """Return the kernels for training on this processor, or None if there are none."""
    forward = find_kernels("fp32")
    layout = ctypes.sizeof(_AttendTask) << 10 | ctypes.sizeof(_FeedTask)
    if forward is None or forward.function("diffir_backward_layout")() != layout:  # built from another version
        return None
    return GradientKernels(forward)


class Layers:
    """The 1x1 and the depthwise 3x3 convolution of a half of a block, and both packed.

    Their channels consist of equal parts: queries, keys and values, or gate and value.
    """

    def __init__(self, kernels: GradientKernels, weights: Tensor, taps: Tensor, parts: int) -> None:
        """Weights (parts * c, C, 1, 1) and taps (parts * c, 1, 3, 3)."""
        self.kernels, self.weights, self.taps = kernels, weights, taps
        self.parts: Parts = (parts, weights.shape[0] // parts)
        self.channels = weights.shape[1]
        self.matrix = weights.view(-1, self.channels)
        self.packed = (
            kernels.pack(self.matrix, self.parts, (1, self.channels)),
            kernels.pack_taps(taps, self.parts),
        )

    def packed_backward(self) -> tuple[Tensor, Tensor]:
        """The same for the way back: from the parts to the map, and with the taps in reverse order."""
        weights = self.kernels.pack(self.matrix, (1, self.channels), self.parts, turned=True)
        return weights, self.kernels.pack_taps(self.taps, self.parts, flipped=True)


@dataclass(frozen=True)
class Gradients:
    """Gradients of what both halves of a block have: the map, norm and modulation, and two convolutions."""

    maps: Tensor
    """(B, H, W, C)."""
    gain: Tensor
    """(B, C)."""
    shift: Tensor
    weights: Tensor
    """(parts * c, C, 1, 1)."""
    taps: Tensor
    """(parts * c, 1, 3, 3)."""


class BackwardPass:
    """One backward pass over the maps of a batch: its sums, and the part of the C structure that both halves share."""

    def __init__(
        self, maps: Tensor, upstream: Tensor, gain: Tensor, shift: Tensor, is_centred: bool, layers: Layers
    ) -> None:
        """
        Args:
            maps: what the half received, (B, H, W, C) float32, contiguous; ``upstream``: the gradient of its result.
            gain, shift: of norm and modulation, (B, padded C).
        """
        batch, height = maps.shape[:2]
        assert upstream.is_contiguous() and upstream.shape == maps.shape and upstream.dtype == torch.float32
        self._layers, self._kernels, self._maps, self._upstream = layers, layers.kernels, maps, upstream
        self._pieces = batch * -(-height // _BAND_ROWS)
        self._expansion = Expansion(gain, shift, is_centred, *layers.packed)
        self._reduce, self._flipped = layers.packed_backward()
        self._out = torch.empty_like(maps)
        self._weights = torch.zeros(self._pieces, layers.channels, self._expansion.padded)
        self._taps = torch.zeros(self._pieces, self._expansion.padded, 9)
        self._of_norm = torch.zeros(2, self._pieces, self._kernels.padded(layers.channels))

    def feed(self, project: Tensor) -> tuple[Gradients, Tensor]:
        """Gradients of the gated network, and that of ``project`` (C, hidden, 1, 1), its last convolution."""
        kernels, (channels, hidden) = self._kernels, project.shape[:2]
        expand = kernels.pack(project.view(channels, hidden), (1, hidden), (1, channels), turned=True)
        sums = torch.zeros(self._pieces, channels, kernels.padded(hidden))
        kernels.run(
            "diffir_feed_back",
            _FeedTask(self._shared(), kernels.padded(hidden), expand.data_ptr(), sums.data_ptr()),
        )
        return self._gradients(), kernels.unpack(sums, (1, hidden), torch.empty_like(project))

    def attend(self, products: Tensor, squares: Tensor, mixing: Tensor) -> Gradients:
        """Gradients of attention.

        Args:
            products: gradient of q k^T, (B, heads, c, c).
            squares: gradients of |q|^2 and |k|^2, (B, 2, heads, c).
            mixing: the matrix (B, C, C) that is applied to the values.
        """
        kernels, (heads, size), channels = self._kernels, products.shape[1:3], self._layers.channels
        padded = kernels.padded(channels)
        both = kernels.pack(torch.stack([products, products.mT], 1), (1, size), (1, size))
        doubled = F.pad(2 * squares.flatten(2), (0, padded - channels)).contiguous()
        turned = kernels.pack(mixing, (1, channels), (1, channels), turned=True)
        task = _AttendTask(
            *(self._shared(), padded, heads, size, kernels.padded(size)),
            *(both.data_ptr(), doubled.data_ptr(), turned.data_ptr()),
        )
        kernels.run("diffir_attend_back", task)
        return self._gradients()

    def _shared(self) -> _Shared:
        tensors = (self._upstream, self._reduce, self._flipped, self._out, self._weights, self._taps, *self._of_norm)
        return _Shared(self._expansion.task(self._maps[0]), len(self._maps), *(tensor.data_ptr() for tensor in tensors))

    def _gradients(self) -> Gradients:
        layers, kernels = self._layers, self._kernels
        weights = kernels.unpack(self._weights, layers.parts, torch.empty_like(layers.weights), turned=True)
        taps = kernels.unpack_taps(self._taps, layers.parts, torch.empty_like(layers.taps))
        gain, shift = self._of_norm.unflatten(1, (len(self._maps), -1)).sum(2)[..., : layers.channels]
        return Gradients(self._out, gain, shift, weights, taps)
