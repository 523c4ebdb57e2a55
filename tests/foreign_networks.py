"""Tensors of tiny networks in the layouts of other projects."""

import importlib.util
from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn

needs_spandrel = pytest.mark.skipif(
    not all(map(importlib.util.find_spec, ("spandrel", "torchvision"))), reason="spandrel is not installed"
)


def compact(scale: int = 2, channels: int = 3, seed: int = 0) -> dict[str, Tensor]:
    """A compact network of Real-ESRGAN with two inner layers of 8 channels."""
    generator = torch.Generator().manual_seed(seed)
    state = {}
    for layer, (wide, out) in {0: (channels, 8), 2: (8, 8), 4: (8, 8), 6: (8, channels * scale**2)}.items():
        state[f"body.{layer}.weight"] = torch.randn(out, wide, 3, 3, generator=generator) / 30
        state[f"body.{layer}.bias"] = torch.zeros(out)
        if layer < 6:
            state[f"body.{layer + 1}.weight"] = torch.full((8,), 0.25)
    return state


def of_spandrel(make: Callable[[], nn.Module]) -> dict[str, Tensor]:
    """The tensors of an architecture of spandrel, with random numbers of a fixed seed."""
    torch.manual_seed(0)
    return make().state_dict()


def dncnn(channels: int = 3) -> dict[str, Tensor]:
    """A DnCNN of eight layers, for images with so many channels."""
    from diffir._spandrel import load_spandrel

    load_spandrel("this test")
    from spandrel.architectures.DnCNN import DnCNN

    return of_spandrel(lambda: DnCNN(in_nc=channels, out_nc=channels, nc=8, nb=8, act_mode="R"))


def esrgan(scale: int = 4) -> dict[str, Tensor]:
    """An ESRGAN of one block."""
    from diffir._spandrel import load_spandrel

    load_spandrel("this test")
    from spandrel.architectures.ESRGAN import ESRGAN

    return of_spandrel(lambda: ESRGAN(num_filters=8, num_blocks=2, scale=scale))


def drunet() -> dict[str, Tensor]:
    """A DRUNet, whose sides must be multiples of 8."""
    from diffir._spandrel import load_spandrel

    load_spandrel("this test")
    from spandrel.architectures.DRUNet import DRUNet

    return of_spandrel(lambda: DRUNet(in_nc=4, out_nc=3, nc=[8, 8, 8, 8], nb=2))
