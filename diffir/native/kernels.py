"""The door to the compiled kernels: found, loaded and called here, over torch's memory, with as many threads as torch.

In: maps (H, W, C) float32 and packed weights. Out: sums for attention, or the next map. Where the kernels were not
built, or the processor has no AVX2, ``find_kernels`` says so with None; everything else works without them.
"""

import ctypes
import sysconfig
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor

_LONG, _POINTER = ctypes.c_long, ctypes.c_void_p
_LARGEST_PIECE, _SMALLEST_PIECE = 512, 16  # rows; two more are expanded with them
_PIECE_SIDE = 64  # pixels; what a kernel expands at a time
# Number of the kernels in src/kernels.cpp, floats in a register, numbers in matrices; the best first.
_KINDS = ((2, 16, torch.bfloat16), (1, 16, torch.float32), (0, 8, torch.float32))
_NUMBERS = {"fp32": torch.float32, "bf16": torch.bfloat16, "fp16": torch.float16}


class _Expansion(ctypes.Structure):
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
        ("expansion", _Expansion),
        ("grid", _Grid),
        ("key_offset", _LONG),
        ("products", _POINTER),
        ("squares", _POINTER),
    )


class _MixTask(ctypes.Structure):
    _fields_ = (
        ("expansion", _Expansion),
        ("grid", _Grid),
        ("mixing", _POINTER),
        ("project", _POINTER),
        ("out", _POINTER),
    )


class _FeedTask(ctypes.Structure):
    _fields_ = (
        ("expansion", _Expansion),
        ("hidden", _LONG),
        ("value_offset", _LONG),
        ("project", _POINTER),
        ("out", _POINTER),
    )


@dataclass(frozen=True)
class Expansion:
    """Norm and modulation as one gain and shift a channel, then the 1x1 and the depthwise 3x3 convolution, packed."""

    gain: Tensor
    """(padded C,) float32."""
    shift: Tensor
    is_centred: bool
    """Whether the norm subtracts the mean."""
    weights: Tensor
    """As ``Kernels.pack`` makes it."""
    taps: Tensor
    """As ``Kernels.pack_taps`` makes it."""

    @property
    def padded(self) -> int:
        return self.taps.shape[0] * self.taps.shape[2]

    def task(self, x: Tensor, top: int = 0, bottom: int | None = None) -> _Expansion:
        """Of some rows of a map (H, W, C)."""
        height, width, channels = x.shape
        assert x.dtype == torch.float32 and x.is_contiguous() and x.device.type == "cpu"
        return _Expansion(
            *(x.data_ptr(), height, width, channels, top, height if bottom is None else bottom),
            *(self.gain.data_ptr(), self.shift.data_ptr(), self.is_centred),
            *(self.weights.data_ptr(), self.taps.data_ptr(), self.padded),
        )


class Kernels:
    """The kernels of one instruction set and precision."""

    def __init__(self, library: ctypes.CDLL, kind: int, lanes: int, number: torch.dtype) -> None:
        self._library = library
        self._kind = kind
        self.lanes = lanes
        self.number = number
        """Of matrix products: float32 or bfloat16; sums, norms and the map itself are float32."""

    def padded(self, channels: int) -> int:
        """Channels rounded up to whole vectors."""
        return -(-channels // self.lanes) * self.lanes

    def pad(self, vector: Tensor) -> Tensor:
        """(C,) to (padded C,) float32, zeros at the end."""
        return F.pad(vector.float(), (0, self.padded(len(vector)) - len(vector)))

    def pack(self, weights: Tensor) -> Tensor:
        """Matrices (..., N, K), to be multiplied from the left, to (..., padded N / lanes, K, lanes)."""
        outputs, inputs = weights.shape[-2:]
        pair = 1 if self.number == torch.float32 else 2  # bf16: neighbours in K side by side
        weights = F.pad(weights, (0, -inputs % pair, 0, self.padded(outputs) - outputs)).to(self.number)
        blocks = weights.unflatten(-2, (-1, self.lanes)).unflatten(-1, (-1, pair))
        return blocks.transpose(-3, -2).contiguous()

    def pack_taps(self, weights: Tensor) -> Tensor:
        """Depthwise 3x3 weights (C, 1, 3, 3) to (padded C / lanes, 9, lanes) float32."""
        taps = F.pad(weights.float().flatten(1).T, (0, self.padded(len(weights)) - len(weights)))
        return taps.unflatten(1, (-1, self.lanes)).transpose(0, 1).contiguous()

    def sums(self, x: Tensor, expansion: Expansion, heads: int, cell: tuple[int, int]) -> tuple[Tensor, Tensor]:
        """q k^T and the sums of squares of q and k, in every cell of a map.

        Args:
            x: (H, W, C) float32.
            expansion: to q, then k, each padded to whole vectors.
            cell: height and width in pixels.
        Returns:
            (rows, columns, heads, c, c) and (rows, columns, 2, heads, c), float32.
        """
        height, width, channels = x.shape
        rows, columns = -(-height // cell[0]), -(-width // cell[1])
        grid = self._grid(heads, channels // heads, cell)
        products = torch.zeros(rows, columns, heads, grid.head_channels, grid.head_padded)
        squares = torch.zeros(rows, columns, 2, expansion.padded // 2)
        task = _SumsTask(expansion.task(x), grid, expansion.padded // 2, products.data_ptr(), squares.data_ptr())
        # Whole cells, so that no two threads add to one; half of a low map at most, so that two have work.
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
        """Write x and what attention makes of its values to rows of ``out``.

        Args:
            x, out: (H, W, C) float32, two maps.
            expansion: to v.
            mixing: (cells, heads, c, c), output by input channels, for the cells of rows ``top`` to ``bottom``.
            project: packed (C, C); None where the mixing is the whole matrix of one head.
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
        """Write x and what the gated network makes of it to ``out``.

        Args:
            x, out: (H, W, C) float32, two maps.
            expansion: to gate, then value, each padded to whole vectors.
            project: packed (C, hidden).
        """
        assert out.is_contiguous() and out.shape == x.shape
        task = _FeedTask(expansion.task(x), hidden, expansion.padded // 2, project.data_ptr(), out.data_ptr())
        self._run(self._library.diffir_feed, task, _balanced_rows(x.shape[0], x.shape[1]), _PIECE_SIDE)

    def _grid(self, heads: int, channels: int, cell: tuple[int, int]) -> _Grid:
        return _Grid(*cell, heads, channels, self.padded(channels))

    def _run(self, function: "ctypes._NamedFuncPointer", task: ctypes.Structure, rows: int, columns: int) -> None:
        if function(self._kind, ctypes.byref(task), _LONG(rows), _LONG(columns), torch.get_num_threads()):
            raise MemoryError("out of memory in the compiled kernels")


def kernels_here() -> list[Kernels]:
    """All that were built and that this processor can run, the best of each precision first."""
    library = _library()
    if library is None:
        return []
    known = library.diffir_kernels()
    return [Kernels(library, *kind) for kind in _KINDS if known >> kind[0] & 1]


def find_kernels(precision: Literal["fp32", "bf16", "fp16"]) -> Kernels | None:
    """The best kernels for this processor in a precision; None: there are none."""
    return next((kernels for kernels in kernels_here() if kernels.number == _NUMBERS[precision]), None)


@cache
def _library() -> ctypes.CDLL | None:
    path = Path(__file__).parent / f"_kernels{sysconfig.get_config_var('EXT_SUFFIX')}"
    try:
        library = ctypes.CDLL(str(path)) if path.is_file() else None
    except OSError:  # built for another system
        return None
    layout = sum(ctypes.sizeof(task) << shift for task, shift in ((_SumsTask, 20), (_MixTask, 10), (_FeedTask, 0)))
    if library is None or getattr(library, "diffir_layout", lambda: 0)() != layout:  # built from an older version
        return None
    return library


def _whole_cells(pixels: int, cell: int) -> int:
    return max(pixels // cell, 1) * cell


def _balanced_rows(height: int, width: int) -> int:
    """Rows of a piece: some pieces for each thread, but not so thin that rows are expanded twice over."""
    threads = torch.get_num_threads()
    across = -(-width // _PIECE_SIDE)
    fewest = min(_SMALLEST_PIECE, max(-(-height // threads), 4))
    return min(max(-(-height * across // (2 * threads)), fewest), _LARGEST_PIECE)
