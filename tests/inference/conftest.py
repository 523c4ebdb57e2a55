"""Tiny restorers."""

from collections.abc import Callable
from dataclasses import replace

import pytest
import torch

from diffir.archs import DiffIR
from diffir.inference.restorer import Restorer
from diffir.tasks import get_task

MakeRestorer = Callable[..., Restorer]


@pytest.fixture
def make_restorer() -> MakeRestorer:
    """A restorer of a toy network on the CPU; ``arch`` changes settings of the network, the rest goes to Restorer."""

    def make(arch: dict | None = None, **arguments: object) -> Restorer:
        torch.manual_seed(0)
        network = DiffIR(replace(get_task("denoise_tiny").arch, **(arch or {})))
        return Restorer(network, **{"name": "toy", "device": "cpu", "precision": "fp32", **arguments})

    return make
