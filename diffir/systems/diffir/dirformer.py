"""DIRformer: the U-shaped transformer that restores an image under the guidance of a prior vector.

In: lq (B, C, H, W) and prior (B, P). Out: restored image (B, 3, scale*H, scale*W). Every block consists of a DMTA and a
DGFN, both modulated by the same prior (DiffIR, Xia et al., ICCV 2023, figure 2; attention and U-shape after Restormer,
CVPR 2022).
"""

import torch
import torch.nn.functional as F
from einops import rearrange
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from diffir.systems.diffir import fused_block
from diffir.systems.diffir.channel_attention import attention_matrix, projected
from diffir.systems.diffir.layers import ChannelNorm, Downsample, Modulation, Upsample
from diffir.systems.diffir.settings import ArchSettings
from diffir.systems.diffir.tail import OneConvTail, Tail


class DMTA(nn.Module):
    """Dynamic multi-head transposed attention: channels attend to channels, so the cost is linear in pixels.

    Two steps are reordered to save work. The cosines follow from q k^T (c x c numbers per head) and the norms, instead
    of normalising q and k at every pixel. Attention and output projection are multiplied to one matrix, which is then
    applied to the values.
    """

    def __init__(self, channels: int, heads: int, prior_width: int) -> None:
        super().__init__()
        self.heads = heads
        self.modulation = Modulation(channels, prior_width)
        self.temperature = nn.Parameter(torch.ones(heads, 1, 1))
        self.qkv = nn.Conv2d(channels, 3 * channels, 1, bias=False)
        self.qkv_dwconv = nn.Conv2d(3 * channels, 3 * channels, 3, padding=1, groups=3 * channels, bias=False)
        self.project_out = nn.Conv2d(channels, channels, 1, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        """Compute the residual (B, C, H, W) from the normalised and modulated map (B, C, H, W)."""
        # Project to queries, keys and values.
        height, width = x.shape[-2:]
        qk, v = self.qkv_dwconv(self.qkv(x)).tensor_split([2 * x.shape[1]], dim=1)
        if qk.dtype == torch.float16:  # sums over pixels would overflow; a common factor leaves the cosines unchanged
            qk = qk * (height * width) ** -0.5

        # Sum over pixels: q k^T and the squared norms.
        q, k = rearrange(qk, "b (qk heads c) h w -> qk b heads c (h w)", qk=2, heads=self.heads)
        wide = qk.float() if qk.dtype in (torch.bfloat16, torch.float16) else qk  # sums over many pixels
        squares = rearrange(wide.square().sum(dim=(2, 3)), "b (qk heads c) -> b qk heads c", qk=2, heads=self.heads)

        # Mix the values and project them, in one product.
        mixing = self.project(self.attention(q @ k.transpose(-2, -1), squares))
        out = rearrange(v, "b c h w -> b (h w) c") @ mixing.transpose(-2, -1)
        return rearrange(out, "b (h w) c -> b c h w", h=height, w=width)

    def attention(self, products: Tensor, squares: Tensor) -> Tensor:
        """Attention (..., heads, c, c) from q k^T (..., heads, c, c) and the squared norms (..., 2, heads, c)."""
        return attention_matrix(products, squares, self.temperature)

    def project(self, attention: Tensor) -> Tensor:
        """Multiply ``project_out`` and attention (..., heads, c, c) to one matrix (..., C, C)."""
        return projected(attention, self.project_out.weight)


class DGFN(nn.Module):
    """Dynamic gated feed-forward network: one half of the hidden channels gates the other half."""

    def __init__(self, channels: int, expansion: float, prior_width: int) -> None:
        super().__init__()
        hidden = int(channels * expansion)
        self.modulation = Modulation(channels, prior_width)
        self.project_in = nn.Conv2d(channels, 2 * hidden, 1, bias=False)
        self.dwconv = nn.Conv2d(2 * hidden, 2 * hidden, 3, padding=1, groups=2 * hidden, bias=False)
        self.project_out = nn.Conv2d(hidden, channels, 1, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        """Compute the residual (B, C, H, W) from the normalised and modulated map (B, C, H, W)."""
        gate, value = self.dwconv(self.project_in(x)).chunk(2, dim=1)
        return self.project_out(F.gelu(gate) * value)


class Block(nn.Module):
    """Transformer block: norm, modulation and DMTA, then norm, modulation and DGFN, each with a residual connection."""

    def __init__(self, channels: int, heads: int, settings: ArchSettings) -> None:
        super().__init__()
        bias = settings.norm == "with_bias"
        self.norm1 = ChannelNorm(channels, bias=bias)
        self.attn = DMTA(channels, heads, settings.prior_width)
        self.norm2 = ChannelNorm(channels, bias=bias)
        self.ffn = DGFN(channels, settings.ffn_expansion, settings.prior_width)
        self.may_be_fused = True
        """If False, torch computes the block in training even where compiled kernels can."""

    def forward(self, x: Tensor, prior: Tensor) -> Tensor:
        if self.may_be_fused and fused_block.is_possible(x):
            return fused_block.FusedBlock.apply(x, prior, *self._weights())
        x = x + self.attn(self.norm1(x, self.attn.modulation(prior)))
        return x + self.ffn(self.norm2(x, self.ffn.modulation(prior)))

    def _weights(self) -> tuple[Tensor | None, ...]:
        """All parameters, in the order of ``BlockKernels``."""
        norm1, attn, norm2, ffn = self.norm1, self.attn, self.norm2, self.ffn
        return (
            *(attn.temperature, norm1.weight, norm1.bias, attn.modulation.linear.weight),
            *(attn.qkv.weight, attn.qkv_dwconv.weight, attn.project_out.weight),
            *(norm2.weight, norm2.bias, ffn.modulation.linear.weight),
            *(ffn.project_in.weight, ffn.dwconv.weight, ffn.project_out.weight),
        )


class Level(nn.ModuleList):
    """A sequence of blocks of equal width and number of heads, modulated by the same prior."""

    def __init__(self, channels: int, heads: int, num_blocks: int, settings: ArchSettings) -> None:
        super().__init__(Block(channels, heads, settings) for _ in range(num_blocks))
        self.keeps_activations = True
        """If False, the backward pass recomputes the activations of each block (gradient checkpointing)."""

    def forward(self, x: Tensor, prior: Tensor) -> Tensor:
        for block in self:
            if self.keeps_activations or not torch.is_grad_enabled():
                x = block(x, prior)
            else:
                x = checkpoint(block, x, prior, use_reentrant=False, preserve_rng_state=False)
        return x


class DIRformer(nn.Module):
    """The dynamic image restoration transformer: encoder, latent level, decoder, refinement and global skip."""

    def __init__(self, settings: ArchSettings) -> None:
        super().__init__()
        self.settings = settings
        widths = [settings.dim * 2**level for level in range(4)]
        blocks, heads = settings.num_blocks, settings.heads

        # Encoder: every level halves the sides and doubles the channels.
        self.patch_embed = nn.Conv2d(settings.in_channels * settings.unshuffle**2, widths[0], 3, padding=1, bias=False)
        self.encoder_level1 = Level(widths[0], heads[0], blocks[0], settings)
        self.down1_2 = Downsample(widths[0])
        self.encoder_level2 = Level(widths[1], heads[1], blocks[1], settings)
        self.down2_3 = Downsample(widths[1])
        self.encoder_level3 = Level(widths[2], heads[2], blocks[2], settings)
        self.down3_4 = Downsample(widths[2])
        self.latent = Level(widths[3], heads[3], blocks[3], settings)

        # Decoder with skip connections from the encoder.
        self.up4_3 = Upsample(widths[3])
        self.reduce_chan_level3 = nn.Conv2d(widths[3], widths[2], 1, bias=False)
        self.decoder_level3 = Level(widths[2], heads[2], blocks[2], settings)
        self.up3_2 = Upsample(widths[2])
        self.reduce_chan_level2 = nn.Conv2d(widths[2], widths[1], 1, bias=False)
        self.decoder_level2 = Level(widths[1], heads[1], blocks[1], settings)
        self.up2_1 = Upsample(widths[1])
        self.decoder_level1 = Level(widths[1], heads[0], blocks[0], settings)  # width 2 * dim: no 1x1 reduction
        self.refinement = Level(widths[1], heads[0], settings.num_refinement_blocks, settings)

        # Output layers, which enlarge for super-resolution.
        self.output: nn.Module
        if settings.upsample == 1:
            self.output = nn.Conv2d(widths[1], settings.out_channels, 3, padding=1, bias=False)
        else:
            form = OneConvTail if settings.one_conv_tail else Tail
            self.output = form(widths[1], settings.out_channels, settings.upsample)

    def forward(self, lq: Tensor, prior: Tensor) -> Tensor:
        """Restore low-quality images.

        Args:
            lq: (B, C, H, W) in [0, 1], RGB and for inpainting the mask; H and W multiples of ``settings.multiple_of``.
            prior: (B, P).
        Returns:
            (B, 3, scale*H, scale*W), RGB, not clamped.
        """
        # Encoder. Channels last from here on: norms and 1x1 convolutions work on the channels of a pixel.
        unshuffled = F.pixel_unshuffle(lq, self.settings.unshuffle).contiguous(memory_format=torch.channels_last)
        level1 = self.encoder_level1(self.patch_embed(unshuffled), prior)
        level2 = self.encoder_level2(self.down1_2(level1), prior)
        level3 = self.encoder_level3(self.down2_3(level2), prior)
        latent = self.latent(self.down3_4(level3), prior)

        # Decoder: concatenate each skip connection and reduce the channels, except on level 1.
        up3 = self.reduce_chan_level3(torch.cat([self.up4_3(latent), level3], dim=1))
        up3 = self.decoder_level3(up3, prior)
        up2 = self.reduce_chan_level2(torch.cat([self.up3_2(up3), level2], dim=1))
        up2 = self.decoder_level2(up2, prior)
        up1 = self.decoder_level1(torch.cat([self.up2_1(up2), level1], dim=1), prior)

        return self.add_global_skip(self.output(self.refinement(up1, prior)), lq)

    def add_global_skip(self, output: Tensor, lq: Tensor) -> Tensor:
        """Add lq, enlarged to the output's size, to the output; works on strips of both, too."""
        if self.settings.global_skip == "none":
            return output
        image = lq[:, : self.settings.out_channels]
        if self.settings.global_skip == "nearest" and self.settings.scale > 1:
            image = F.interpolate(image, scale_factor=self.settings.scale, mode="nearest")
        return output + image
