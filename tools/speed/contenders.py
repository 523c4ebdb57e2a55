"""The contenders of ``tools.speed``: the literal network, and the ways in which diffir runs the same weights.

In: a stage-2 network and a device. Out: a function from lq to the restored image. It includes the prior, which starts
from the same noise for every contender. fp32 excludes TF32 on graphics cards.
"""

import copy
from collections.abc import Callable, Sequence
from functools import partial
from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor

from diffir.api import restorer_of
from diffir.errors import DiffIRError, UsageError
from diffir.inference.device import autocast, has_bf16_units
from diffir.near_names import meant
from diffir.systems.diffir import DiffIR
from tools.speed.machine import cpuinfo
from tools.speed.reference import PlainCopy, Run, start_noise


def by_module(network: DiffIR, device: str, *, is_plain: bool, dtype: torch.dtype = torch.float32) -> Run:
    """Call a module directly, in inference mode; in bf16 the whole network and its input are bf16, channels last."""
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
    """Call the public class, which is what users of diffir run."""
    options = {"device": device, "precision": precision, "stats": "global", "engine": engine}
    restorer = restorer_of(copy.deepcopy(network), **options)

    def run(lq: Tensor) -> Tensor:
        restored = restorer.restore_tensor(lq)
        if (
            notes := restorer.take_notes()
        ):  # it took a smaller tile or a higher precision, so the time would be misleading
            raise DiffIRError(f"{engine} in {precision}: {'; '.join(notes)}")
        return restored

    return run


# Names that end in -bf16 compute in bf16. Names that begin with plain are the literal network.
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
CONTENDERS_OF: dict[Work, tuple[str, ...]] = {
    "restore": tuple(CONTENDERS),
    "train": ("plain", "network"),
    "growth": (
        "torch",
        "torch-bf16",
        "native",
        "native-bf16",
    ),  # the others keep all feature maps of a large photo in memory
}


def chosen(names: Sequence[str], work: Work) -> tuple[str, ...]:
    """Return the named contenders, or all for this work, after ``plain``, to which the ratios refer."""
    allowed = CONTENDERS_OF[work]
    for name in names:
        if name not in allowed:
            raise UsageError(f"unknown contender {name!r} for {work}; {meant(name, allowed)}")
    first = () if work == "growth" else ("plain",)
    return tuple(dict.fromkeys((*first, *(names or allowed))))


def precision_of(contender: str) -> str:
    """Return the precision of a contender, fp32 or bf16."""
    return "bf16" if contender.endswith("-bf16") else "fp32"


def build(contender: str, network: DiffIR, device: str, *, is_training: bool) -> Run:
    """Build a contender for restoring or, with ``is_training``, for training steps.

    Raises:
        UsageError: this machine cannot run it; the message says why.
    """
    on_cpu = torch.device(device).type == "cpu"
    if contender.startswith("native") and not on_cpu:
        raise UsageError("the compiled kernels are for CPUs")
    if on_cpu and precision_of(contender) == "bf16" and not has_bf16_units(cpuinfo()):
        raise UsageError("this CPU has no bf16 units")
    return training_step(contender, network, device) if is_training else CONTENDERS[contender](network, device)


def training_step(contender: str, network: DiffIR, device: str) -> Run:
    """Run a training step without its optimiser, in fp32: forward, L1 loss against grey, backward."""
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
