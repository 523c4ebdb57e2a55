"""Layers that the autoencoder and the denoiser of latent diffusion share."""

import math

import torch.nn.functional as F
from torch import Tensor, nn

GROUPS = 32  # of every normalisation in the released networks


def group_norm(channels: int, eps: float) -> nn.GroupNorm:
    """Group normalisation with 32 groups, or fewer where the channels cannot be split into 32 equal groups."""
    return nn.GroupNorm(math.gcd(GROUPS, channels), channels, eps)


def attend(query: Tensor, key: Tensor, value: Tensor) -> Tensor:
    """Scaled dot-product attention over tokens: (B, heads, N, d), (B, heads, M, d) twice -> (B, heads, N, d)."""
    return F.scaled_dot_product_attention(query, key, value)


def zeroed(layer: nn.Conv1d | nn.Conv2d) -> nn.Conv1d | nn.Conv2d:
    """Set the weights of a layer to zero, so that its residual branch starts as the identity."""
    nn.init.zeros_(layer.weight)
    nn.init.zeros_(bias_of(layer))
    return layer


def bias_of(layer: nn.Conv1d | nn.Conv2d | nn.ConvTranspose2d) -> Tensor:
    """The bias of a layer that has one."""
    assert layer.bias is not None
    return layer.bias
