"""Cross-attention of the denoiser: every position reads vectors of context, such as features of the damaged photo.

Source: Rombach et al., CVPR 2022, section 3.3 and appendix E.2.1; the feed-forward layers gate by GELU (Shazeer, "GLU
Variants Improve Transformer", 2020).
"""

import torch.nn.functional as F
from einops import rearrange
from torch import Tensor, nn

from diffir.systems.latent.blocks import attend, group_norm, zeroed

EPS = 1e-6  # of the normalisation before the transformer
WIDER = 4  # width of the feed-forward layers over that of the tokens


class Attention(nn.Module):
    """Multi-head attention from tokens (B, N, C) to context (B, M, D), or to the tokens themselves."""

    def __init__(self, channels: int, heads: int, context_channels: int | None = None) -> None:
        super().__init__()
        self.heads = heads
        self.to_q = nn.Linear(channels, channels, bias=False)
        self.to_k = nn.Linear(context_channels or channels, channels, bias=False)
        self.to_v = nn.Linear(context_channels or channels, channels, bias=False)
        self.to_out = nn.Sequential(nn.Linear(channels, channels))

    def forward(self, tokens: Tensor, context: Tensor | None = None) -> Tensor:
        context = tokens if context is None else context
        query, key, value = (
            rearrange(projected, "b n (heads d) -> b heads n d", heads=self.heads)
            for projected in (self.to_q(tokens), self.to_k(context), self.to_v(context))
        )
        return self.to_out(rearrange(attend(query, key, value), "b heads n d -> b n (heads d)"))


class GatedProjection(nn.Module):
    """Linear layer to twice the width, of which one half gates the other by GELU."""

    def __init__(self, channels: int, outputs: int) -> None:
        super().__init__()
        self.proj = nn.Linear(channels, 2 * outputs)

    def forward(self, tokens: Tensor) -> Tensor:
        values, gates = self.proj(tokens).chunk(2, dim=-1)
        return values * F.gelu(gates)


class FeedForward(nn.Module):
    """Gated projection to four times the width, and back."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        inner = WIDER * channels
        self.net = nn.Sequential(GatedProjection(channels, inner), nn.Identity(), nn.Linear(inner, channels))

    def forward(self, tokens: Tensor) -> Tensor:
        return self.net(tokens)


class TransformerBlock(nn.Module):
    """Self-attention, cross-attention and feed-forward layers on tokens (B, N, C), each beside a shortcut."""

    def __init__(self, channels: int, heads: int, context_channels: int) -> None:
        super().__init__()
        self.attn1 = Attention(channels, heads)
        self.ff = FeedForward(channels)
        self.attn2 = Attention(channels, heads, context_channels)
        self.norm1, self.norm2, self.norm3 = (nn.LayerNorm(channels) for _ in range(3))

    def forward(self, tokens: Tensor, context: Tensor | None) -> Tensor:
        tokens = tokens + self.attn1(self.norm1(tokens))
        tokens = tokens + self.attn2(self.norm2(tokens), context)
        return tokens + self.ff(self.norm3(tokens))


class SpatialTransformer(nn.Module):
    """Transformer blocks over the positions of feature maps (B, C, h, w), beside a shortcut."""

    def __init__(self, channels: int, heads: int, context_channels: int, depth: int) -> None:
        super().__init__()
        self.norm = group_norm(channels, EPS)
        self.proj_in = nn.Conv2d(channels, channels, 1)
        self.transformer_blocks = nn.ModuleList(
            TransformerBlock(channels, heads, context_channels) for _ in range(depth)
        )
        self.proj_out = zeroed(nn.Conv2d(channels, channels, 1))

    def forward(self, x: Tensor, context: Tensor | None) -> Tensor:
        tokens = rearrange(self.proj_in(self.norm(x)), "b c h w -> b (h w) c")
        for block in self.transformer_blocks:
            tokens = block(tokens, context)
        return x + self.proj_out(rearrange(tokens, "b (h w) c -> b c h w", h=x.shape[-2]))
