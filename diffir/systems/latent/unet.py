"""The denoiser of latent diffusion: a U-Net that receives a noisy latent, its time step and a condition.

Parameter names are those of the released checkpoints. Source: Rombach et al., CVPR 2022, section 3.2 and appendix E;
the layers are those of Dhariwal and Nichol, "Diffusion Models Beat GANs", NeurIPS 2021.
"""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from diffir.systems.latent.blocks import group_norm, zeroed
from diffir.systems.latent.context import SpatialTransformer
from diffir.systems.latent.settings import DenoiserSettings
from diffir.systems.latent.unet_blocks import EPS, Downsample, ResBlock, SelfAttention, Upsample, time_features


class Step(nn.Sequential):
    """One numbered step of the U-Net; passes time embedding and context to the layers that take them."""

    def forward(self, x: Tensor, embedding: Tensor, context: Tensor | None) -> Tensor:  # type: ignore[override]
        for layer in self:
            if isinstance(layer, ResBlock):
                x = layer(x, embedding)
            elif isinstance(layer, SpatialTransformer):
                x = layer(x, context)
            else:
                x = layer(x)
        return x


class UNet(nn.Module):
    """(B, in, h, w) and time steps (B,) -> (B, out, h, w), with sides that are multiples of 2^(levels - 1)."""

    def __init__(self, settings: DenoiserSettings, in_channels: int, out_channels: int) -> None:
        super().__init__()
        self.settings = settings
        width = settings.channels
        self.time_embed = nn.Sequential(nn.Linear(width, 4 * width), nn.SiLU(), nn.Linear(4 * width, 4 * width))

        # Downwards: each step's output is also kept for the way up.
        self.input_blocks = nn.ModuleList([Step(nn.Conv2d(in_channels, width, 3, padding=1))])
        kept, last = [width], len(settings.multipliers) - 1
        for level, multiplier in enumerate(settings.multipliers):
            for _ in range(settings.num_blocks):
                block = self._block(width, settings.channels * multiplier)
                width = settings.channels * multiplier
                self.input_blocks.append(Step(block, *self._attention(width, level)))
                kept.append(width)
            if level < last:
                self.input_blocks.append(Step(self._resized(width, "down")))
                kept.append(width)

        self.middle_block = Step(self._block(width, width), self._attend(width), self._block(width, width))

        # Upwards: each step reads what was kept at its resolution.
        self.output_blocks = nn.ModuleList()
        for level in reversed(range(last + 1)):
            for number in range(settings.num_blocks + 1):
                block = self._block(width + kept.pop(), settings.channels * settings.multipliers[level])
                width = settings.channels * settings.multipliers[level]
                enlarge = [self._resized(width, "up")] if level and number == settings.num_blocks else []
                self.output_blocks.append(Step(block, *self._attention(width, level), *enlarge))
        self.out = nn.Sequential(
            group_norm(width, EPS), nn.SiLU(), zeroed(nn.Conv2d(width, out_channels, 3, padding=1))
        )

    def forward(self, x: Tensor, time: Tensor, context: Tensor | None = None) -> Tensor:
        """
        Args:
            x: noisy latent with the concatenated condition.
            time: time steps (B,).
            context: vectors for cross-attention (B, N, context_channels), for networks that have it.
        """
        embedding = F.silu(self.time_embed(time_features(time, self.settings.channels).to(x.dtype)))
        kept = []
        for step in self.input_blocks:
            x = step(x, embedding, context)
            kept.append(x)
        x = self.middle_block(x, embedding, context)
        for step in self.output_blocks:
            x = step(torch.cat([x, kept.pop()], dim=1), embedding, context)
        return self.out(x)

    def _block(self, inputs: int, outputs: int) -> ResBlock:
        return ResBlock(inputs, outputs, 4 * self.settings.channels, scale_shift=self.settings.scale_shift)

    def _resized(self, width: int, direction: str) -> nn.Module:
        """The layer that halves or doubles the sides: a residual block or a convolution."""
        if self.settings.updown_blocks:
            time = 4 * self.settings.channels
            return ResBlock(width, width, time, scale_shift=self.settings.scale_shift, resize=direction)
        return Downsample(width) if direction == "down" else Upsample(width)

    def _attention(self, width: int, level: int) -> list[nn.Module]:
        return [self._attend(width)] if 2**level in self.settings.attention_factors else []

    def _attend(self, width: int) -> nn.Module:
        """Self-attention, or a transformer with cross-attention for networks that read context."""
        heads = self.settings.num_heads(width)
        if self.settings.context_channels:
            return SpatialTransformer(width, heads, self.settings.context_channels, self.settings.transformer_depth)
        return SelfAttention(width, heads)
