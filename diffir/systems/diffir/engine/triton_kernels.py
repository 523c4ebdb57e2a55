"""Kernels for NVIDIA cards, in Triton: the modulated norm in one pass over a map, and the gate of DGFN in another.

In: maps (B, C, H, W), channels last, float32, bfloat16 or float16. Sums are made in float32. Importing this module
needs the package triton, which comes with torch for CUDA. Where TRITON_INTERPRET=1 was set before, Triton computes the
kernels on the CPU, slowly, which is for tests. Neither kernel has a backward pass.
"""

import torch
import triton
import triton.language as tl
from torch import Tensor

from diffir.systems.diffir.layers import NORM_EPS

_NUMBERS = 4096  # of a map in one program of the norm; a guess, like the tile of the gate
_GATE_COLUMNS, _GATE_CHANNELS = 16, 64
_SQRT_HALF = tl.constexpr(0.7071067811865476)


@triton.jit
def _norm_kernel(
    x: tl.tensor,
    gain: tl.tensor,
    shift: tl.tensor,
    out: tl.tensor,
    pixels: int,
    pixels_per_image: int,
    channels: int,
    eps: float,
    is_centred: tl.constexpr,
    block_pixels: tl.constexpr,
    block_channels: tl.constexpr,
) -> None:
    pixel = tl.program_id(0).to(tl.int64) * block_pixels + tl.arange(0, block_pixels)
    channel = tl.arange(0, block_channels)
    is_inside = (pixel < pixels)[:, None] & (channel < channels)[None, :]
    place = pixel[:, None] * channels + channel[None, :]
    values = tl.load(x + place, mask=is_inside, other=0.0).to(tl.float32)

    # The variance is that around the mean, also where the mean is not subtracted.
    mean = tl.sum(values, axis=1) / channels
    centred = tl.where(is_inside, values - mean[:, None], 0.0)
    factor = 1.0 / tl.sqrt(tl.sum(centred * centred, axis=1) / channels + eps)
    if is_centred:
        values = centred

    of_image = (pixel // pixels_per_image)[:, None] * channels + channel[None, :]
    gains = tl.load(gain + of_image, mask=is_inside, other=0.0)
    shifts = tl.load(shift + of_image, mask=is_inside, other=0.0)
    result = values * factor[:, None] * gains + shifts
    tl.store(out + place, result.to(out.dtype.element_ty), mask=is_inside)


@triton.jit
def _gate_kernel(
    x: tl.tensor,
    taps: tl.tensor,
    out: tl.tensor,
    height: int,
    width: int,
    hidden: int,
    block_columns: tl.constexpr,
    block_channels: tl.constexpr,
) -> None:
    image = tl.program_id(0).to(tl.int64) // height
    row = tl.program_id(0) % height
    column = tl.program_id(1) * block_columns + tl.arange(0, block_columns)
    channel = tl.program_id(2) * block_channels + tl.arange(0, block_channels)
    is_channel = (channel < hidden)[None, :]

    # The depthwise convolution of gate and value; the map has zeros around it.
    gate = tl.zeros((block_columns, block_channels), tl.float32)
    value = tl.zeros((block_columns, block_channels), tl.float32)
    for down in tl.static_range(3):
        for across in tl.static_range(3):
            source_row, source = tl.zeros_like(column) + row + (down - 1), column + (across - 1)
            is_inside = (source_row >= 0) & (source_row < height) & (source >= 0) & (source < width)
            is_there = is_inside[:, None] & is_channel
            pixel = (image * height + source_row) * width + source
            place = pixel[:, None] * (2 * hidden) + channel[None, :]
            tap = (down * 3 + across) * (2 * hidden) + channel[None, :]
            of_gate = tl.load(x + place, mask=is_there, other=0.0).to(tl.float32)
            gate += of_gate * tl.load(taps + tap, mask=is_channel, other=0.0)
            of_value = tl.load(x + place + hidden, mask=is_there, other=0.0).to(tl.float32)
            value += of_value * tl.load(taps + tap + hidden, mask=is_channel, other=0.0)

    result = 0.5 * gate * (1.0 + tl.erf(gate * _SQRT_HALF)) * value
    pixel = (image * height + row) * width + column
    place = pixel[:, None] * hidden + channel[None, :]
    tl.store(out + place, result.to(out.dtype.element_ty), mask=(column < width)[:, None] & is_channel)


def modulated_norm(x: Tensor, gain: Tensor, shift: Tensor, *, is_centred: bool, dtype: torch.dtype) -> Tensor:
    """Normalise the channels of each pixel, multiply by ``gain`` and add ``shift``, as ``ChannelNorm`` does.

    Args:
        x: map (B, C, H, W).
        gain, shift: (B, C) float32, of the norm and the modulation together.
        is_centred: the norm subtracts the mean.
        dtype: of the result.
    """
    pixels = _pixels(x)
    batch, height, width, channels = pixels.shape
    out = torch.empty_like(pixels, dtype=dtype)
    columns = triton.next_power_of_2(channels)
    rows = max(_NUMBERS // columns, 1)
    count = batch * height * width
    with torch.cuda.device_of(x):
        _norm_kernel[(triton.cdiv(count, rows),)](
            *(pixels, gain.contiguous(), shift.contiguous(), out, count, height * width, channels, NORM_EPS),
            is_centred=is_centred,
            block_pixels=rows,
            block_channels=columns,
        )
    return out.permute(0, 3, 1, 2)


def gated_taps(x: Tensor, weight: Tensor) -> Tensor:
    """Apply the depthwise 3x3 convolution of DGFN; return GELU of the first half of the channels times the second.

    Args:
        x: map (B, 2 hidden, H, W).
        weight: of the convolution, (2 hidden, 1, 3, 3).
    Returns:
        (B, hidden, H, W) in the type of x.
    """
    pixels = _pixels(x)
    batch, height, width, channels = pixels.shape
    hidden = channels // 2
    out = pixels.new_empty(batch, height, width, hidden)
    grid = (batch * height, triton.cdiv(width, _GATE_COLUMNS), triton.cdiv(hidden, _GATE_CHANNELS))
    taps = weight.float().flatten(1).t().contiguous()
    with torch.cuda.device_of(x):
        _gate_kernel[grid](
            *(pixels, taps, out, height, width, hidden), block_columns=_GATE_COLUMNS, block_channels=_GATE_CHANNELS
        )
    return out.permute(0, 3, 1, 2)


def _pixels(x: Tensor) -> Tensor:
    """A map as (B, H, W, C), without a copy if it is channels last."""
    return x.permute(0, 2, 3, 1).contiguous()
