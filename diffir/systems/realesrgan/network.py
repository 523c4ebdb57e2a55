"""The compact network of Real-ESRGAN: a chain of 3x3 convolutions with PReLU at the resolution of lq.

The last convolution predicts scale^2 values a channel, which a pixel shuffle arranges to the enlarged image, and the
network adds them to lq, enlarged by nearest neighbour. X. Wang, L. Xie, C. Dong, Y. Shan, "Real-ESRGAN", ICCVW 2021;
parameters have the names of its checkpoints.
"""

from collections.abc import Mapping
from itertools import pairwise

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from diffir.errors import ConfigError
from diffir.systems.realesrgan.settings import CompactSettings

COLOURS = 3


class CompactNetwork(nn.Module):
    """Maps (B, 3, h, w) to (B, 3, scale*h, scale*w)."""

    def __init__(self, settings: CompactSettings) -> None:
        super().__init__()
        self.settings = settings
        self.body = _layers(settings)

    def forward(self, lq: Tensor) -> Tensor:
        """Restore lq (B, 3, h, w) in [0, 1]; the result is not clamped."""
        x = lq
        for layer in self.body:
            x = layer(x)
        details = F.pixel_shuffle(x, self.settings.scale)
        return F.interpolate(lq, scale_factor=self.settings.scale, mode="nearest") + details


def settings_of(state: Mapping[str, Tensor]) -> CompactSettings | None:
    """The settings of a network with these tensors; None if they are not those of a compact network for RGB."""
    first = state.get("body.0.weight")
    if first is None or first.dim() != 4 or first.shape[1] != COLOURS or not all(map(_is_of_body, state)):
        return None
    last = max(int(name.split(".")[1]) for name in state)
    outputs = state.get(f"body.{last}.weight")
    if outputs is None or last < 2 or last % 2 or not outputs.dim():
        return None
    try:
        settings = CompactSettings(first.shape[0], last // 2 - 1, round((outputs.shape[0] / COLOURS) ** 0.5))
    except ConfigError:
        return None
    with torch.device("meta"):
        expected = {name: tensor.shape for name, tensor in CompactNetwork(settings).state_dict().items()}
    return settings if expected == {name: tensor.shape for name, tensor in state.items()} else None


def _layers(settings: CompactSettings) -> nn.ModuleList:
    widths = [COLOURS, *[settings.features] * (settings.convolutions + 1)]
    layers: list[nn.Module] = []
    for given, made in pairwise(widths):
        layers += [nn.Conv2d(given, made, 3, padding=1), nn.PReLU(made)]
    return nn.ModuleList([*layers, nn.Conv2d(settings.features, COLOURS * settings.scale**2, 3, padding=1)])


def _is_of_body(name: str) -> bool:
    parts = name.split(".")
    return len(parts) == 3 and parts[0] == "body" and parts[1].isdecimal() and parts[2] in ("weight", "bias")
