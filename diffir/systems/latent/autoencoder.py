"""The autoencoder of latent diffusion: photos (B, 3, H, W) in [-1, 1] to latents (B, Z, H/f, W/f) and back.

Parameter names are those of the released checkpoints. Options that are ours and off in released networks: pixels are
unshuffled before the encoder, and the best linear code of f x f patches runs beside encoder and decoder. Source:
Rombach et al., CVPR 2022, section 3.1; the layers are those of Esser et al., "Taming Transformers", CVPR 2021.
"""

from collections.abc import Sequence
from itertools import pairwise
from typing import cast

import torch
import torch.nn.functional as F
from einops import rearrange
from torch import Tensor, nn

from diffir.systems.latent.blocks import attend, bias_of, group_norm, zeroed
from diffir.systems.latent.regularise import Codebook, NormalLatent
from diffir.systems.latent.settings import AutoencoderSettings

EPS = 1e-6  # of the normalisations
START_LOG_VARIANCE = -6.0  # of new networks: with 0 the noise of the latent hides the photo for a thousand steps


class ResnetBlock(nn.Module):
    """Two 3 x 3 convolutions, each after normalisation and swish, beside a shortcut: (B, C, h, w) -> (B, C', h, w)."""

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        self.norm1 = group_norm(inputs, EPS)
        self.conv1 = nn.Conv2d(inputs, outputs, 3, padding=1)
        self.norm2 = group_norm(outputs, EPS)
        self.conv2 = nn.Conv2d(outputs, outputs, 3, padding=1)
        if inputs != outputs:
            self.nin_shortcut = nn.Conv2d(inputs, outputs, 1)

    def forward(self, x: Tensor) -> Tensor:
        h = self.conv1(F.silu(self.norm1(x)))
        h = self.conv2(F.silu(self.norm2(h)))
        return h + (self.nin_shortcut(x) if hasattr(self, "nin_shortcut") else x)


class SelfAttention(nn.Module):
    """Single-head self-attention over all positions, beside a shortcut: (B, C, h, w) -> (B, C, h, w)."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.norm = group_norm(channels, EPS)
        self.q, self.k, self.v, self.proj_out = (nn.Conv2d(channels, channels, 1) for _ in range(4))

    def forward(self, x: Tensor) -> Tensor:
        normed = self.norm(x)
        query, key, value = (rearrange(to(normed), "b c h w -> b 1 (h w) c") for to in (self.q, self.k, self.v))
        mixed = rearrange(attend(query, key, value), "b 1 (h w) c -> b c h w", h=x.shape[-2])
        return x + self.proj_out(mixed)


class Downsample(nn.Module):
    """Halve both sides by a strided 3 x 3 convolution; the padding is on the right and at the bottom."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.conv = nn.Conv2d(channels, channels, 3, stride=2)

    def forward(self, x: Tensor) -> Tensor:
        return self.conv(F.pad(x, (0, 1, 0, 1)))


class Upsample(nn.Module):
    """Double both sides by nearest neighbour, then a 3 x 3 convolution."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.conv = nn.Conv2d(channels, channels, 3, padding=1)

    def forward(self, x: Tensor) -> Tensor:
        return self.conv(F.interpolate(x, scale_factor=2.0, mode="nearest"))


class Level(nn.Module):
    """Blocks at one resolution, each followed by attention where the level has it, then a change of resolution."""

    def __init__(self, widths: Sequence[int], has_attention: bool) -> None:
        """
        Args:
            widths: channels before the first block and after each block.
        """
        super().__init__()
        self.block = nn.ModuleList(ResnetBlock(a, b) for a, b in pairwise(widths))
        self.attn = nn.ModuleList(SelfAttention(width) for width in widths[1:] if has_attention)

    def forward(self, x: Tensor) -> Tensor:
        for number, block in enumerate(self.block):
            x = block(x)
            if len(self.attn):
                x = self.attn[number](x)
        for name in ("downsample", "upsample"):
            x = getattr(self, name)(x) if hasattr(self, name) else x
        return x


class Middle(nn.Module):
    """Block, attention if there is any, block, at the lowest resolution."""

    def __init__(self, channels: int, has_attention: bool) -> None:
        super().__init__()
        self.block_1 = ResnetBlock(channels, channels)
        if has_attention:
            self.attn_1 = SelfAttention(channels)
        self.block_2 = ResnetBlock(channels, channels)

    def forward(self, x: Tensor) -> Tensor:
        x = self.block_1(x)
        x = self.attn_1(x) if hasattr(self, "attn_1") else x
        return self.block_2(x)


class Encoder(nn.Module):
    """Photo (B, 3, H, W) -> features (B, Z or 2Z, H/f, W/f)."""

    def __init__(self, settings: AutoencoderSettings) -> None:
        super().__init__()
        widths = [settings.channels * m for m in settings.multipliers]
        self.unshuffle = settings.unshuffle
        self.conv_in = nn.Conv2d(3 * settings.unshuffle**2, settings.channels, 3, padding=1)
        self.down = nn.ModuleList()
        before = settings.channels
        for number, width in enumerate(widths):
            has_attention = settings.unshuffle * 2**number in settings.attention_factors
            level = Level([before] + [width] * settings.num_blocks, has_attention)
            if number < len(widths) - 1:
                level.add_module("downsample", Downsample(width))
            self.down.append(level)
            before = width
        self.mid = Middle(before, settings.mid_attention)
        self.norm_out = group_norm(before, EPS)
        self.conv_out = nn.Conv2d(
            before, settings.z_channels * (2 if settings.regulariser == "kl" else 1), 3, padding=1
        )

    def forward(self, x: Tensor) -> Tensor:
        h = self.conv_in(F.pixel_unshuffle(x, self.unshuffle) if self.unshuffle > 1 else x)
        for module in self.down:
            h = cast(Level, module)(h)
        return self.conv_out(F.silu(self.norm_out(self.mid(h))))


class Decoder(nn.Module):
    """Latent after ``post_quant_conv`` (B, Z, h, w) -> photo (B, 3, f h, f w)."""

    def __init__(self, settings: AutoencoderSettings) -> None:
        super().__init__()
        widths = [settings.channels * m for m in settings.multipliers]
        self.unshuffle = settings.unshuffle
        before = widths[-1]
        self.conv_in = nn.Conv2d(settings.z_channels, before, 3, padding=1)
        self.mid = Middle(before, settings.mid_attention)
        levels = []
        for number in reversed(range(len(widths))):
            has_attention = settings.unshuffle * 2**number in settings.attention_factors
            level = Level([before] + [widths[number]] * (settings.num_blocks + 1), has_attention)
            if number > 0:
                level.add_module("upsample", Upsample(widths[number]))
            levels.append(level)
            before = widths[number]
        self.up = nn.ModuleList(reversed(levels))  # the released names count from the highest resolution
        self.norm_out = group_norm(before, EPS)
        self.conv_out = nn.Conv2d(before, 3 * settings.unshuffle**2, 3, padding=1)

    def forward(self, z: Tensor) -> Tensor:
        h = self.mid(self.conv_in(z))
        for module in reversed(self.up):
            h = cast(Level, module)(h)
        x = self.conv_out(F.silu(self.norm_out(h)))
        return F.pixel_shuffle(x, self.unshuffle) if self.unshuffle > 1 else x


class Autoencoder(nn.Module):
    """Encoder, regulariser and decoder; the middle of the latent's distribution is what the diffusion sees.

    Attributes:
        settings: the settings it was built with.
        quantize: the codebook of ``vq``; networks with ``kl`` have none.
    """

    def __init__(self, settings: AutoencoderSettings) -> None:
        super().__init__()
        self.settings = settings
        self.encoder = Encoder(settings)
        self.decoder = Decoder(settings)
        z, latent = settings.z_channels, settings.latent_channels
        if settings.regulariser == "vq":
            self.quantize = Codebook(settings.codes, latent, counts_use=settings.counts_use)
            self.quant_conv = nn.Conv2d(z, latent, 1)
        else:
            self.quant_conv = nn.Conv2d(2 * z, 2 * latent, 1)
        self.post_quant_conv = nn.Conv2d(latent, z, 1)
        if settings.linear_code:
            self._add_linear_code()

    @property
    def codebook(self) -> Codebook | None:
        """The codebook of a network with ``vq``."""
        return self.quantize if self.settings.regulariser == "vq" else None

    def encode(self, images: Tensor) -> Tensor:
        """Images (B, 3, H, W) in [-1, 1] -> latents (B, Z, H/f, W/f): before rounding for vq, means for kl."""
        return self.features(images).chunk(2, dim=1)[0] if self.codebook is None else self.features(images)

    def features(self, images: Tensor) -> Tensor:
        """The latent before rounding for vq (B, Z, h, w); means and log variances for kl (B, 2 Z, h, w)."""
        features = self.quant_conv(self.encoder(images))
        if not self.settings.linear_code:
            return features
        linear = self.linear_encode(images)
        return features + (linear if self.codebook is not None else F.pad(linear, (0, 0, 0, 0, 0, linear.shape[1])))

    def distribution(self, images: Tensor) -> NormalLatent:
        """The normal distribution of the latents of images; for kl only."""
        return NormalLatent.of_moments(self.features(images))

    def decode(self, latents: Tensor, *, quantise: bool = True) -> Tensor:
        """Latents (B, Z, h, w) -> images (B, 3, f h, f w) in about [-1, 1]; vq rounds to the nearest codes first."""
        if self.codebook is not None and quantise:
            latents = self.codebook(latents).latents
        images = self.decoder(self.post_quant_conv(latents))
        return images + self.linear_decode(latents) if self.settings.linear_code else images

    @torch.no_grad()
    def set_linear_code(self, images: Tensor) -> None:
        """Set the linear code to the principal components of f x f patches of images (B, 3, H, W) in [-1, 1].

        Each component has unit variance on these images, so the latents have it, too.
        """
        f, wanted = self.settings.factor, self.settings.latent_channels
        colour = images.double().mean(dim=(0, 2, 3))
        centred = images.double() - colour.view(1, 3, 1, 1)
        patches = rearrange(centred, "b c (h y) (w x) -> (b h w) (c y x)", y=f, x=f)
        mean = colour.repeat_interleave(f * f)
        variances, vectors = torch.linalg.eigh(patches.T @ patches / len(patches))
        spread = variances.flip(0)[:wanted].clamp_min(1e-6).sqrt()
        components = vectors.flip(1)[:, :wanted].T  # (latent channels, 3 f f), the largest variance first
        self.linear_encode.weight.copy_((components / spread[:, None]).view(-1, 3, f, f))
        bias_of(self.linear_encode).copy_(-(components / spread[:, None]) @ mean)
        self.linear_decode.weight.copy_((components * spread[:, None]).view(-1, 3, f, f))
        bias_of(self.linear_decode).copy_(colour)

    def _add_linear_code(self) -> None:
        """Add both convolutions of the linear code, and start the networks beside them at zero."""
        f, latent = self.settings.factor, self.settings.latent_channels
        self.linear_encode = nn.Conv2d(3, latent, f, stride=f)
        self.linear_decode = nn.ConvTranspose2d(latent, 3, f, stride=f)
        zeroed(self.quant_conv)
        zeroed(self.decoder.conv_out)
        if self.settings.regulariser == "kl":
            nn.init.constant_(bias_of(self.quant_conv)[latent:], START_LOG_VARIANCE)
