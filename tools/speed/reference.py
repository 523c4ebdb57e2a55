"""The reference of ``tools.speed``: the literal network ``tests/systems/diffir/plain_network.py``.

In: the choice of a network. Out: its weights, the literal network with these weights in any dtype and on any device,
its work in GFLOP, and the error of a contender against it in fp64.
"""

import copy
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from diffir.api import load_network
from diffir.errors import UsageError
from diffir.inference.multiply_adds import multiply_adds_of
from diffir.systems.diffir import DiffIR
from diffir.systems.diffir.tasks import get_task
from tests.systems.diffir.plain_network import PlainDiffIR

Run = Callable[[Tensor], Tensor]
"""Maps lq (B, 3, H, W) float32 in [0, 1] to the restored image (B, 3, scale*H, scale*W) float32, prior included."""
ERROR_SIDE = 64  # pixels: small, because fp64 is slow


@dataclass(frozen=True)
class Choice:
    """The measured network: a row of the task table with random weights (seed 0), or a weights file or name."""

    task: str
    weights: str | None = None

    def __str__(self) -> str:
        return f"{self.task} (random weights)" if self.weights is None else f"weights {self.weights}"

    def open(self) -> DiffIR:
        """Return the network in fp32 on the CPU."""
        if self.weights is not None:
            network = load_network(self.weights)[0]
        else:
            with torch.random.fork_rng(devices=[]):
                torch.manual_seed(0)
                network = DiffIR(get_task(self.task).arch, 2).eval()
        if network.settings.has_mask:
            raise UsageError(f"{self.weights or self.task} fills holes; the benchmark is for networks without a mask")
        return network


class PlainCopy(nn.Module):
    """``PlainDiffIR`` with a copy of the weights, prior included; ``form`` is passed to ``Module.to``."""

    def __init__(self, network: DiffIR, **form: object) -> None:
        super().__init__()
        self.own = copy.deepcopy(network)
        self.plain = PlainDiffIR(self.own)
        self.own.to(**form)
        self.plain.dirformer.load_state_dict(
            self.own.dirformer.state_dict(), assign=True
        )  # so that the weights are in memory once

    def forward(self, lq: Tensor, *, noise: Tensor) -> Tensor:
        return self.plain(lq, noise)


def start_noise(prior_width: int, lq: Tensor) -> Tensor:
    """Return the start noise (B, P) of ``Restorer`` with seed 0, in the dtype and on the device of lq."""
    noise = torch.randn(1, prior_width, generator=torch.Generator().manual_seed(0))
    return noise.to(lq).expand(len(lq), -1)


def random_photo(batch: int, height: int, width: int, device: str) -> Tensor:
    """Return lq (B, 3, H, W) of uniform random numbers in [0, 1], the same on every device."""
    return torch.rand(batch, 3, height, width, generator=torch.Generator().manual_seed(1)).to(device)


def gflop_of(network: DiffIR, lq_shape: tuple[int, int, int, int]) -> float:
    """Count the convolutions and matrix products of the literal network on the meta device; a multiply-add is two."""
    lq = torch.empty(lq_shape, device="meta")
    noise = torch.empty(len(lq), network.settings.prior_width, device="meta")
    hollow = PlainCopy(network, device="meta")
    return 2 * multiply_adds_of(lambda: hollow(lq, noise=noise)) / 1e9


class Exact:
    """The result of the literal network in fp64 for one small photo."""

    def __init__(self, network: DiffIR) -> None:
        self.lq = random_photo(1, ERROR_SIDE, ERROR_SIDE, "cpu")
        with torch.inference_mode():
            lq = self.lq.double()
            noise = start_noise(network.settings.prior_width, lq)
            self.restored = PlainCopy(network, dtype=torch.float64)(lq, noise=noise)

    def relative_error(self, run: Run, device: str) -> float:
        """Return the largest difference from it, relative to its largest value."""
        difference = run(self.lq.to(device)).cpu().double() - self.restored
        return (difference.abs().max() / self.restored.abs().max()).item()
