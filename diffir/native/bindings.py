"""Python interface of the compiled kernels: this module finds, loads and calls them through ctypes.

In: feature maps (H, W, C) float32 on the CPU, and packed weights. Out: sums for attention, or the next map. The kernels
work on torch's memory and use as many threads as torch. If they were not built, or the processor lacks AVX2,
``find_kernels`` returns None; the rest of the package works without them.
"""

import ctypes
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor

LIBRARY = Path(__file__).parent / "_kernels.so"
_LONG, _POINTER = ctypes.c_long, ctypes.c_void_p
_LARGEST_PIECE, _SMALLEST_PIECE = 512, 16  # rows of a piece of work; two more rows are expanded for each
_PIECE_SIDE = 64  # pixels; columns of a piece of work
# Number of the kernels in src/kernels.cpp, floats in a register, type of the matrices; the best kernels first.
_KINDS = ((2, 16, torch.bfloat16), (1, 16, torch.float32), (0, 8, torch.float32))
_NUMBERS = {"fp32": torch.float32, "bf16": torch.bfloat16, "fp16": torch.float16}


# The structures below have the fields of those in src/tasks.h, in the same order.
class ExpansionTask(ctypes.Structure):
    """The C structure of an ``Expansion`` and the map that it works on."""

    _fields_ = (
        ("map", _POINTER),
        *((name, _LONG) for name in ("height", "width", "channels", "top", "bottom")),
        *((name, _POINTER) for name in ("gain", "shift")),
        ("centred", _LONG),
        *((name, _POINTER) for name in ("weights", "taps")),
        ("padded", _LONG),
    )


class _Grid(ctypes.Structure):
    _fields_ = tuple((name, _LONG) for name in ("cell_height", "cell_width", "heads", "head_channels", "head_padded"))


class _SumsTask(ctypes.Structure):
    _fields_ = (
        ("expansion", ExpansionTask),
        ("grid", _Grid),
        ("key_offset", _LONG),
        ("products", _POINTER),
        ("squares", _POINTER),
    )


class _MixTask(ctypes.Structure):
    _fields_ = (
        ("expansion", ExpansionTask),
        ("grid", _Grid),
        ("mixing", _POINTER),
        ("project", _POINTER),
        ("out", _POINTER),
    )


class _FeedTask(ctypes.Structure):
    _fields_ = (
        ("expansion", ExpansionTask),
        ("hidden", _LONG),
        ("value_offset", _LONG),
        ("project", _POINTER),
        ("out", _POINTER),
    )


@dataclass(frozen=True)
class Expansion:
    """The packed weights of the layers that begin every pass: norm, modulation, and two convolutions.

    Norm and modulation are combined to a gain and a shift per channel; a 1x1 and a depthwise 3x3 convolution follow.
    """

    gain: Tensor
    """Factor for each channel, (padded C,) float32."""
    shift: Tensor
    """Summand for each channel, (padded C,) float32."""
    is_centred: bool
    """True if the norm subtracts the mean."""
    weights: Tensor
    """Weights of the 1x1 convolution, packed by ``Kernels.pack``."""
    taps: Tensor
    """Weights of the depthwise 3x3 convolution, packed by ``Kernels.pack_taps``."""

    @property
    def padded(self) -> int:
        """Number of channels after the 1x1 convolution, rounded up to whole vectors."""
        return self.taps.shape[0] * self.taps.shape[2]

    def task(self, x: Tensor, top: int = 0, bottom: int | None = None) -> ExpansionTask:
        """Return the C structure for rows ``top`` to ``bottom`` of a map (H, W, C); without ``bottom``, to the end."""
        height, width, channels = x.shape
        assert x.dtype == torch.float32 and x.is_contiguous() and x.device.type == "cpu"
        return ExpansionTask(
            *(x.data_ptr(), height, width, channels, top, height if bottom is None else bottom),
            *(self.gain.data_ptr(), self.shift.data_ptr(), self.is_centred),
            *(self.weights.data_ptr(), self.taps.data_ptr(), self.padded),
        )


class Kernels:
    """The kernels for one instruction set and precision."""

    def __init__(self, library: ctypes.CDLL, kind: int, lanes: int, number: torch.dtype) -> None:
        self._library = library
        self._kind = kind
        self.lanes = lanes
        """Number of floats in a vector register."""
        self.number = number
        """Type of the factors in matrix products, float32 or bfloat16; sums, norms and maps are float32."""

    def padded(self, channels: int) -> int:
        """Round a number of channels up to whole vectors."""
        return -(-channels // self.lanes) * self.lanes

    def pad(self, vector: Tensor) -> Tensor:
        """Convert a vector (C,) to float32 and append zeros, which gives (padded C,)."""
        return F.pad(vector.float(), (0, self.padded(len(vector)) - len(vector)))

    def pack(self, weights: Tensor) -> Tensor:
        """Reorder matrices (..., N, K), which multiply from the left, to (..., padded N / lanes, K, lanes)."""
        outputs, inputs = weights.shape[-2:]
        pair = 1 if self.number == torch.float32 else 2  # bf16 instructions take pairs of neighbours in K
        weights = F.pad(weights, (0, -inputs % pair, 0, self.padded(outputs) - outputs)).to(self.number)
        blocks = weights.unflatten(-2, (-1, self.lanes)).unflatten(-1, (-1, pair))
        return blocks.transpose(-3, -2).contiguous()

    def pack_taps(self, weights: Tensor) -> Tensor:
        """Reorder depthwise 3x3 weights (C, 1, 3, 3) to (padded C / lanes, 9, lanes) float32."""
        taps = F.pad(weights.float().flatten(1).T, (0, self.padded(len(weights)) - len(weights)))
        return taps.unflatten(1, (-1, self.lanes)).transpose(0, 1).contiguous()

    def sums(self, x: Tensor, expansion: Expansion, heads: int, cell: tuple[int, int]) -> tuple[Tensor, Tensor]:
        """Compute q k^T and the sums of squares of q and k in each cell of a map.

        Args:
            x: the map, (H, W, C) float32.
            expansion: layers that compute q, then k, each padded to whole vectors.
            heads: number of attention heads; c = C / heads.
            cell: height and width of a cell in pixels.
        Returns:
            (rows, columns, heads, c, c) and (rows, columns, 2, heads, c), float32.
        """
        # Allocate the sums of each cell.
        height, width, channels = x.shape
        rows, columns = -(-height // cell[0]), -(-width // cell[1])
        grid = self._grid(heads, channels // heads, cell)
        products = torch.zeros(rows, columns, heads, grid.head_channels, grid.head_padded)
        squares = torch.zeros(rows, columns, 2, expansion.padded // 2)
        task = _SumsTask(expansion.task(x), grid, expansion.padded // 2, products.data_ptr(), squares.data_ptr())
        # A piece consists of whole cells, so that no two threads add to the same sums, and has at most half the rows of
        # a low map, so that two threads have work.
        piece = _whole_cells(min(_PIECE_SIDE, -(-height // 2)), cell[0]), _whole_cells(_PIECE_SIDE, cell[1])
        self._run(self._library.diffir_sums, task, *piece)
        squares = squares[..., :channels].unflatten(-1, (heads, -1))
        return products[..., : grid.head_channels], squares

    def mix(
        self,
        x: Tensor,
        out: Tensor,
        expansion: Expansion,
        mixing: Tensor,
        *,
        project: Tensor | None,
        cell: tuple[int, int],
        top: int,
        bottom: int,
    ) -> None:
        """Write x plus the result of attention to rows ``top`` to ``bottom`` of ``out``.

        Args:
            x, out: two different maps, (H, W, C) float32.
            expansion: layers that compute v.
            mixing: matrices of attention (cells, heads, c, c), output by input channels, for the cells of these rows.
            project: packed weights (C, C) of the output projection; None if there is one head whose mixing includes it.
            cell: height and width of a cell in pixels.
            top: a multiple of the cell's height.
        """
        heads, channels = mixing.shape[-3], mixing.shape[-1]
        assert out.is_contiguous() and out.shape == x.shape
        packed = self.pack(mixing)
        task = _MixTask(
            expansion.task(x, top, bottom),
            self._grid(heads, channels, cell),
            packed.data_ptr(),
            None if project is None else project.data_ptr(),
            out.data_ptr(),
        )
        self._run(self._library.diffir_mix, task, _balanced_rows(bottom - top, x.shape[1]), _PIECE_SIDE)

    def feed(self, x: Tensor, out: Tensor, expansion: Expansion, project: Tensor, hidden: int) -> None:
        """Write x plus the result of the gated feed-forward network to ``out``.

        Args:
            x, out: two different maps, (H, W, C) float32.
            expansion: layers that compute gate, then value, each padded to whole vectors.
            project: packed weights (C, hidden) of the output projection.
            hidden: number of channels of gate and of value.
        """
        assert out.is_contiguous() and out.shape == x.shape
        task = _FeedTask(expansion.task(x), hidden, expansion.padded // 2, project.data_ptr(), out.data_ptr())
        self._run(self._library.diffir_feed, task, _balanced_rows(x.shape[0], x.shape[1]), _PIECE_SIDE)

    def function(self, name: str) -> "ctypes._NamedFuncPointer":
        """A function of the library, for ``diffir.native.gradients``."""
        return getattr(self._library, name)

    @property
    def kind(self) -> int:
        """Number of these kernels in src/kernels.cpp."""
        return self._kind

    def _grid(self, heads: int, channels: int, cell: tuple[int, int]) -> _Grid:
        return _Grid(*cell, heads, channels, self.padded(channels))

    def _run(self, function: "ctypes._NamedFuncPointer", task: ctypes.Structure, rows: int, columns: int) -> None:
        if function(self._kind, ctypes.byref(task), _LONG(rows), _LONG(columns), torch.get_num_threads()):
            raise MemoryError("out of memory in the compiled kernels")


def kernels_here() -> list[Kernels]:
    """Return all kernels that were built and that this processor can run, the best of each precision first."""
    library = _library()
    if library is None:
        return []
    known = library.diffir_kernels()
    return [Kernels(library, *kind) for kind in _KINDS if known >> kind[0] & 1]


def find_kernels(precision: Literal["fp32", "bf16", "fp16"]) -> Kernels | None:
    """Return the best kernels for this processor in a precision, or None if there are none."""
    return next((kernels for kernels in kernels_here() if kernels.number == _NUMBERS[precision]), None)


@cache
def _library() -> ctypes.CDLL | None:
    """Load the compiled library; None if it is missing, or was built for another system or version."""
    try:
        library = ctypes.CDLL(str(LIBRARY)) if LIBRARY.is_file() else None
    except OSError:  # built for another system
        return None
    # The sizes of the structures must agree with those that the library was compiled with.
    layout = sum(ctypes.sizeof(task) << shift for task, shift in ((_SumsTask, 20), (_MixTask, 10), (_FeedTask, 0)))
    if library is None or getattr(library, "diffir_layout", lambda: 0)() != layout:
        return None
    return library


def _whole_cells(pixels: int, cell: int) -> int:
    """Round a length down to a multiple of the cell's, but at least to one cell."""
    return max(pixels // cell, 1) * cell


def _balanced_rows(height: int, width: int) -> int:
    """Return the rows of a piece: at least two pieces per thread, but not so low that many rows are expanded twice."""
    threads = torch.get_num_threads()
    across = -(-width // _PIECE_SIDE)
    fewest = min(_SMALLEST_PIECE, max(-(-height // threads), 4))
    return min(max(-(-height * across // (2 * threads)), fewest), _LARGEST_PIECE)
