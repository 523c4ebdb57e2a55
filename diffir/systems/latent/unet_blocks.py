"""The blocks of the denoiser: residual blocks that read the time step, self-attention, changes of resolution.

Source: Dhariwal and Nichol, "Diffusion Models Beat GANs on Image Synthesis", NeurIPS 2021, section 3; in the attention
the heads are split before queries, keys and values.
"""

import math

import torch
import torch.nn.functional as F
from einops import rearrange
from torch import Tensor, nn

from diffir.systems.latent.blocks import attend, group_norm, zeroed

EPS = 1e-5  # of the normalisations
LONGEST_PERIOD = 10_000.0  # of the sinusoidal features, in time steps


def time_features(time: Tensor, channels: int) -> Tensor:
    """Sinusoidal features of time steps: (B,) -> (B, channels), float32 or float64; cosines first, then sines."""
    half = channels // 2
    dtype = torch.float64 if time.dtype == torch.float64 else torch.float32
    frequencies = torch.exp(torch.arange(half, dtype=dtype, device=time.device) * (-math.log(LONGEST_PERIOD) / half))
    angles = time[:, None].to(dtype) * frequencies
    return F.pad(torch.cat([angles.cos(), angles.sin()], dim=1), (0, channels % 2))


class ResBlock(nn.Module):
    """Two 3 x 3 convolutions beside a shortcut; the time embedding enters between them.

    (B, in, h, w) and (B, 4 C) after SiLU -> (B, out, h', w') with the same, half or twice the sides.
    """

    def __init__(
        self, inputs: int, outputs: int, time: int, *, scale_shift: bool = False, resize: str | None = None
    ) -> None:
        """
        Args:
            time: width of the time embedding.
            scale_shift: the embedding scales and shifts the second normalisation instead of being added.
            resize: "down" halves the sides by averaging, "up" doubles them by nearest neighbour; None keeps them.
        """
        super().__init__()
        self.scale_shift, self.resize = scale_shift, resize
        self.in_layers = nn.Sequential(group_norm(inputs, EPS), nn.SiLU(), nn.Conv2d(inputs, outputs, 3, padding=1))
        self.emb_layers = nn.Sequential(nn.Identity(), nn.Linear(time, 2 * outputs if scale_shift else outputs))
        self.out_layers = nn.Sequential(
            group_norm(outputs, EPS), nn.SiLU(), nn.Identity(), zeroed(nn.Conv2d(outputs, outputs, 3, padding=1))
        )
        self.skip_connection = nn.Conv2d(inputs, outputs, 1) if inputs != outputs else nn.Identity()

    def forward(self, x: Tensor, embedding: Tensor) -> Tensor:
        h = self.in_layers[1](self.in_layers[0](x))
        h, x = self._resized(h), self._resized(x)
        h = self.in_layers[2](h)
        time = self.emb_layers(embedding)[:, :, None, None].to(h.dtype)
        if self.scale_shift:
            scale, shift = time.chunk(2, dim=1)
            h = self.out_layers[0](h) * (1 + scale) + shift
        else:
            h = self.out_layers[0](h + time)
        return self.skip_connection(x) + self.out_layers[1:](h)

    def _resized(self, x: Tensor) -> Tensor:
        if self.resize == "down":
            return F.avg_pool2d(x, 2)
        return F.interpolate(x, scale_factor=2.0, mode="nearest") if self.resize == "up" else x


class SelfAttention(nn.Module):
    """Multi-head self-attention over all positions, beside a shortcut: (B, C, h, w) -> (B, C, h, w)."""

    def __init__(self, channels: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.norm = group_norm(channels, EPS)
        self.qkv = nn.Conv1d(channels, 3 * channels, 1)
        self.proj_out = zeroed(nn.Conv1d(channels, channels, 1))

    def forward(self, x: Tensor) -> Tensor:
        tokens = x.flatten(2)
        qkv = rearrange(self.qkv(self.norm(tokens)), "b (heads k d) n -> k b heads n d", heads=self.heads, k=3)
        mixed = rearrange(attend(*qkv), "b heads n d -> b (heads d) n")
        return (tokens + self.proj_out(mixed)).view_as(x)


class Downsample(nn.Module):
    """Halve both sides by a strided 3 x 3 convolution."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.op = nn.Conv2d(channels, channels, 3, stride=2, padding=1)

    def forward(self, x: Tensor) -> Tensor:
        return self.op(x)


class Upsample(nn.Module):
    """Double both sides by nearest neighbour, then a 3 x 3 convolution."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.conv = nn.Conv2d(channels, channels, 3, padding=1)

    def forward(self, x: Tensor) -> Tensor:
        return self.conv(F.interpolate(x, scale_factor=2.0, mode="nearest"))
