"""The contenders of ``tools.speed.gpu``: ways to run one DiffIR network on a graphics card, in fp32 or bf16.

In: a stage-2 network and photos lq (B, 3, H, W) on the card, H and W multiples of what the network needs. Out: a
function without arguments that returns the restored photos (B, 3, scale*H, scale*W) in fp32, prior included. bf16 is
torch's autocast around fp32 weights. fp32 excludes TF32. Attention looks at the whole photo in all of them, so that all
compute the same.
"""

import copy
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from typing import Literal

import torch
from torch import Tensor, nn

from diffir.api import restorer_of
from diffir.inference.device import autocast
from diffir.system import Precision
from diffir.systems.diffir import DiffIR
from diffir.systems.diffir.restore_options import EngineName
from tools.speed.contenders import by_restorer
from tools.speed.reference import PlainCopy, start_noise

Call = Callable[[], Tensor]
Build = Callable[[DiffIR, Tensor, Precision], Call]
Mode = Literal["default", "reduce-overhead"]
MODES: dict[str, Mode] = {"compiled": "default", "compiled-graphs": "reduce-overhead"}  # the latter replays CUDA graphs


@dataclass(frozen=True)
class PhotosOnDevice:
    """Photos that lie on the device already, as an engine reads them (``diffir.system.Region``)."""

    lq: Tensor
    top: int = 0
    left: int = 0

    @property
    def batch(self) -> int:
        return self.lq.shape[0]

    @property
    def height(self) -> int:
        return self.lq.shape[2]

    @property
    def width(self) -> int:
        return self.lq.shape[3]

    def rows(self, start: int, stop: int) -> Tensor:
        """Rows of the photos, (B, 3, stop - start, W)."""
        return self.lq[:, :, start:stop]


def eager(network: DiffIR, lq: Tensor, precision: Precision) -> Call:
    """Run the literal network, as the paper draws it, operator by operator."""
    return _called(PlainCopy(network, device=lq.device), network, lq, precision)


def direct(network: DiffIR, lq: Tensor, precision: Precision) -> Call:
    """Run diffir's network operator by operator, channels last, without an engine."""
    return _called(_channels_last(network, lq), network, lq.contiguous(memory_format=torch.channels_last), precision)


def engine(network: DiffIR, lq: Tensor, precision: Precision, *, name: EngineName = "torch") -> Call:
    """Run one of diffir's engines, whose maps are channels last, from the card to the card."""
    options = {"device": str(lq.device), "precision": precision, "stats": "global", "engine": name}
    own, photos = restorer_of(copy.deepcopy(network), **options).engine, PhotosOnDevice(lq)

    def run() -> Tensor:
        strips: list[Tensor] = []
        session = own.open(photos, seed=0, prior=None, tile=None, precision=precision)
        session.restore(photos, lambda top, rows: strips.append(rows), precision, lambda share: None)
        return strips[0] if len(strips) == 1 else torch.cat(strips, dim=2)

    return run


def whole_call(network: DiffIR, lq: Tensor, precision: Precision) -> Call:
    """Call ``Restorer.restore_tensor`` as users do, from main memory to main memory."""
    run = by_restorer(network, str(lq.device), engine="torch", precision=precision)
    return partial(run, lq.cpu())


def compiled(network: DiffIR, lq: Tensor, precision: Precision, *, mode: Mode) -> Call:
    """Run diffir's network under ``torch.compile``, for this size and batch alone; the first call compiles."""
    fast = torch.compile(_channels_last(network, lq), mode=mode, dynamic=False)
    run = _called(fast, network, lq.contiguous(memory_format=torch.channels_last), precision)

    def step() -> Tensor:
        torch.compiler.cudagraph_mark_step_begin()  # the result of the step before may be overwritten
        return run()

    return step


UNCOMPILED: dict[str, Build] = {"eager": eager, "network": direct, "engine": engine, "restorer": whole_call}
TRITON: dict[str, Build] = {"triton": partial(engine, name="triton")}  # on NVIDIA cards


def builds(names: dict[str, Build], precisions: tuple[Precision, ...]) -> Iterator[tuple[str, Precision, Build]]:
    """Yield the name of every contender in every precision, its precision, and what builds it."""
    for name, build in names.items():
        for precision in precisions:
            yield (name if precision == "fp32" else f"{name}-{precision}"), precision, build


def _channels_last(network: DiffIR, lq: Tensor) -> nn.Module:
    return copy.deepcopy(network).to(device=lq.device, memory_format=torch.channels_last)


def _called(module: Callable[..., Tensor], network: DiffIR, lq: Tensor, precision: Precision) -> Call:
    noise = start_noise(network.settings.prior_width, lq).contiguous()

    def run() -> Tensor:
        with autocast(lq.device, precision):
            return module(lq, noise=noise).float()

    return run
