"""DiffIR written as in the paper, with maps (B, C, H, W) throughout: a reference for results and speed.

Nothing here is optimised. Parameters have the same names as in ``DiffIR``, so that one set of weights fits both. Layers
that are a single convolution, and the network that estimates the prior, are shared with ``DiffIR``.
DiffIR (Xia et al., ICCV 2023); blocks after Restormer (Zamir et al., CVPR 2022).
"""

import torch
import torch.nn.functional as F
from einops import rearrange
from torch import Tensor, nn

from diffir.systems.diffir import ArchSettings, DiffIR


class PlainNorm(nn.Module):
    """Norm over the channels of each pixel, computed on (B, pixels, C)."""

    def __init__(self, channels: int, bias: bool) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(channels))
        self.bias = nn.Parameter(torch.zeros(channels)) if bias else None

    def forward(self, x: Tensor) -> Tensor:
        height, width = x.shape[-2:]
        tokens = rearrange(x, "b c h w -> b (h w) c")
        variance = tokens.var(-1, keepdim=True, unbiased=False)
        if self.bias is None:
            tokens = tokens / torch.sqrt(variance + 1e-5) * self.weight
        else:
            mean = tokens.mean(-1, keepdim=True)
            tokens = (tokens - mean) / torch.sqrt(variance + 1e-5) * self.weight + self.bias
        return rearrange(tokens, "b (h w) c -> b c h w", h=height, w=width)


class PlainModulation(nn.Module):
    """Modulation x * gain + shift, where both are linear functions of the prior."""

    def __init__(self, channels: int, prior_width: int) -> None:
        super().__init__()
        self.linear = nn.Linear(prior_width, 2 * channels, bias=False)

    def forward(self, x: Tensor, prior: Tensor) -> Tensor:
        gain, shift = self.linear(prior).view(len(x), -1, 1, 1).chunk(2, dim=1)
        return x * gain + shift


class PlainDMTA(nn.Module):
    def __init__(self, channels: int, heads: int, prior_width: int) -> None:
        super().__init__()
        self.heads = heads
        self.modulation = PlainModulation(channels, prior_width)
        self.temperature = nn.Parameter(torch.ones(heads, 1, 1))
        self.qkv = nn.Conv2d(channels, channels * 3, 1, bias=False)
        self.qkv_dwconv = nn.Conv2d(channels * 3, channels * 3, 3, 1, 1, groups=channels * 3, bias=False)
        self.project_out = nn.Conv2d(channels, channels, 1, bias=False)

    def forward(self, x: Tensor, prior: Tensor) -> Tensor:
        height, width = x.shape[-2:]
        q, k, v = self.qkv_dwconv(self.qkv(self.modulation(x, prior))).chunk(3, dim=1)
        q, k, v = (rearrange(part, "b (head c) h w -> b head c (h w)", head=self.heads) for part in (q, k, v))
        q, k = F.normalize(q, dim=-1), F.normalize(k, dim=-1)
        attention = (q @ k.transpose(-2, -1)) * self.temperature
        out = attention.softmax(dim=-1) @ v
        return self.project_out(rearrange(out, "b head c (h w) -> b (head c) h w", h=height, w=width))


class PlainDGFN(nn.Module):
    def __init__(self, channels: int, expansion: float, prior_width: int) -> None:
        super().__init__()
        hidden = int(channels * expansion)
        self.modulation = PlainModulation(channels, prior_width)
        self.project_in = nn.Conv2d(channels, hidden * 2, 1, bias=False)
        self.dwconv = nn.Conv2d(hidden * 2, hidden * 2, 3, 1, 1, groups=hidden * 2, bias=False)
        self.project_out = nn.Conv2d(hidden, channels, 1, bias=False)

    def forward(self, x: Tensor, prior: Tensor) -> Tensor:
        gate, value = self.dwconv(self.project_in(self.modulation(x, prior))).chunk(2, dim=1)
        return self.project_out(F.gelu(gate) * value)


class PlainBlock(nn.Module):
    def __init__(self, channels: int, heads: int, settings: ArchSettings) -> None:
        super().__init__()
        bias = settings.norm == "with_bias"
        self.norm1, self.norm2 = PlainNorm(channels, bias), PlainNorm(channels, bias)
        self.attn = PlainDMTA(channels, heads, settings.prior_width)
        self.ffn = PlainDGFN(channels, settings.ffn_expansion, settings.prior_width)

    def forward(self, x: Tensor, prior: Tensor) -> Tensor:
        x = x + self.attn(self.norm1(x), prior)
        return x + self.ffn(self.norm2(x), prior)


class PlainDIRformer(nn.Module):
    """The U-shaped network; layers that are a single convolution are those of the network itself."""

    def __init__(self, network: DiffIR) -> None:
        super().__init__()
        given, settings = network.dirformer, network.settings
        self.settings = settings
        for name, module in given.named_children():
            if name in ("encoder_level1", "encoder_level2", "encoder_level3", "latent", "refinement") or (
                name.startswith("decoder")
            ):
                blocks = [
                    PlainBlock(block.norm1.weight.numel(), block.attn.heads, settings) for block in module.children()
                ]
                module = nn.ModuleList(blocks)
            setattr(self, name, module)
        self.load_state_dict(given.state_dict())

    def forward(self, lq: Tensor, prior: Tensor) -> Tensor:
        def run(blocks: nn.ModuleList, x: Tensor) -> Tensor:
            for block in blocks:
                x = block(x, prior)
            return x

        level1 = run(self.encoder_level1, self.patch_embed(F.pixel_unshuffle(lq, self.settings.unshuffle)))
        level2 = run(self.encoder_level2, self.down1_2(level1))
        level3 = run(self.encoder_level3, self.down2_3(level2))
        latent = run(self.latent, self.down3_4(level3))
        x = run(self.decoder_level3, self.reduce_chan_level3(torch.cat([self.up4_3(latent), level3], 1)))
        x = run(self.decoder_level2, self.reduce_chan_level2(torch.cat([self.up3_2(x), level2], 1)))
        x = run(self.refinement, run(self.decoder_level1, torch.cat([self.up2_1(x), level1], 1)))
        x = self.output(x)
        if self.settings.global_skip == "none":
            return x
        return x + F.interpolate(lq[:, :3], scale_factor=float(self.settings.scale), mode="nearest")


class PlainDiffIR(nn.Module):
    """Stage 2: restores lq from lq and the start noise, with the weights of a ``DiffIR``."""

    def __init__(self, network: DiffIR) -> None:
        super().__init__()
        self.dirformer = PlainDIRformer(network)
        self.prior = network.estimate_prior

    def forward(self, lq: Tensor, noise: Tensor) -> Tensor:
        return self.dirformer(lq, self.prior(lq, noise=noise))
