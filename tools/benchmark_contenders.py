"""Who takes part in ``tools/benchmark.py``: the literal network, and the forms in which diffir runs the same weights.

In: a stage-2 network and a device. Out: a call from lq to the restored image; the prior is part of it and starts from
the same noise everywhere. fp32 means it: no TF32 on graphics cards.
"""

import copy
from collections.abc import Callable, Sequence
from functools import partial
from typing import Literal

import torch
import torch.nn.functional as F
from benchmark_machine import cpuinfo
from benchmark_reference import PlainCopy, Run, start_noise
from torch import Tensor

from diffir.errors import DiffIRError, UsageError
from diffir.inference.device import autocast, has_bf16_units
from diffir.inference.restorer import Restorer
from diffir.near_names import meant
from diffir.systems.diffir import DiffIR


def by_module(network: DiffIR, device: str, *, is_plain: bool, dtype: torch.dtype = torch.float32) -> Run:
    """A module called as it is, in inference mode; bf16 is the whole network and its input, channels last."""
    form, prior_width = {"device": device, "dtype": dtype}, network.settings.prior_width
    if dtype == torch.bfloat16:
        form["memory_format"] = torch.channels_last
    module = PlainCopy(network, **form) if is_plain else copy.deepcopy(network).to(**form)

    @torch.inference_mode()
    def run(lq: Tensor) -> Tensor:
        lq = lq.to(**form)
        with autocast(torch.device(device), "fp32"):
            return module(lq, noise=start_noise(prior_width, lq)).float()

    return run


def by_restorer(network: DiffIR, device: str, *, engine: str, precision: str) -> Run:
    """The public class, which is what users of diffir run."""
    wanted = {"device": device, "precision": precision, "stats": "global", "engine": engine}
    restorer = Restorer(copy.deepcopy(network), **wanted)

    def run(lq: Tensor) -> Tensor:
        restored = restorer.restore_tensor(lq)
        if notes := restorer.take_notes():  # a smaller tile, a higher precision: the time would be that of these
            raise DiffIRError(f"{engine} in {precision}: {'; '.join(notes)}")
        return restored

    return run


# Names that end in -bf16 compute in bf16; names that begin with plain are not ours.
CONTENDERS: dict[str, Callable[[DiffIR, str], Run]] = {
    "plain": partial(by_module, is_plain=True),
    "plain-bf16": partial(by_module, is_plain=True, dtype=torch.bfloat16),
    "network": partial(by_module, is_plain=False),
    "torch": partial(by_restorer, engine="torch", precision="fp32"),
    "torch-bf16": partial(by_restorer, engine="torch", precision="bf16"),
    "native": partial(by_restorer, engine="native", precision="fp32"),
    "native-bf16": partial(by_restorer, engine="native", precision="bf16"),
}


Work = Literal["restore", "train", "growth"]
TAKES_PART: dict[Work, tuple[str, ...]] = {
    "restore": tuple(CONTENDERS),
    "train": ("plain", "network"),
    "growth": ("torch", "torch-bf16", "native", "native-bf16"),  # the others hold all maps of a large photo at once
}


def chosen(asked: Sequence[str], work: Work) -> tuple[str, ...]:
    """Those asked for, or all that can take part, behind ``plain``, which ratios are taken of."""
    allowed = TAKES_PART[work]
    for name in asked:
        if name not in allowed:
            raise UsageError(f"unknown contender {name!r} for {work}; {meant(name, allowed)}")
    first = () if work == "growth" else ("plain",)
    return tuple(dict.fromkeys((*first, *(asked or allowed))))


def precision_of(contender: str) -> str:
    """fp32 or bf16."""
    return "bf16" if contender.endswith("-bf16") else "fp32"


def built(contender: str, network: DiffIR, device: str, *, learns: bool) -> Run:
    """Ready to restore, or to learn.

    Raises:
        UsageError: this machine cannot run it; the message says why.
    """
    on_cpu = torch.device(device).type == "cpu"
    if contender.startswith("native") and not on_cpu:
        raise UsageError("the compiled kernels are for CPUs")
    if on_cpu and precision_of(contender) == "bf16" and not has_bf16_units(cpuinfo()):
        raise UsageError("this CPU has no bf16 units")
    return learner(contender, network, device) if learns else CONTENDERS[contender](network, device)


def learner(contender: str, network: DiffIR, device: str) -> Run:
    """Forward, L1 loss against grey, backward, in fp32: a training step without its optimiser."""
    prior_width = network.settings.prior_width
    module = (PlainCopy(network) if contender == "plain" else copy.deepcopy(network)).to(device).train()
    module.requires_grad_()

    def step(lq: Tensor) -> Tensor:
        module.zero_grad(set_to_none=True)
        with autocast(torch.device(device), "fp32"):
            restored = module(lq, noise=start_noise(prior_width, lq))
            F.l1_loss(restored, torch.full_like(restored, 0.5)).backward()
        return restored.detach()

    return step
