"""What each stage learns: its networks, its losses and its phases.

Stage 1 trains DIRformer and CPEN with the clean image in sight (DiffIR, ICCV 2023, eq. 8). Stage 2 inherits DIRformer
and learns to estimate the same prior from lq alone; a phase of prior training alone may come before the joint one
(eq. 13). The teacher of stage 2 is the stage-1 network, frozen, its prior detached.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import torch
from torch import Tensor, nn

from diffir.archs import ArchSettings, DiffIR
from diffir.archs.layers import LEAKY_SLOPE
from diffir.archs.settings import Stage as StageNumber
from diffir.config import TrainConfig
from diffir.losses import pixel_l1, prior_divergence, prior_l1

TAKE_OVER_GAIN = 0.1  # of the last layer of a new CPEN beside its constant; a choice of taste


@dataclass(frozen=True)
class Phase:
    """A run of steps with an optimiser of its own."""

    name: str
    start: int
    stop: int
    """First step that no longer belongs to it."""
    lr: float
    parameters: Sequence[nn.Parameter]


@dataclass(frozen=True)
class Losses:
    """The scalar to minimise, and everything worth logging."""

    total: Tensor
    terms: dict[str, Tensor]


class Stage(Protocol):
    """What the training loop needs to know of a stage."""

    number: StageNumber
    network: DiffIR
    phases: list[Phase]

    def losses(self, lq: Tensor, gt: Tensor, phase: Phase, generator: torch.Generator) -> Losses:
        """Losses of a batch; lq (B, C, H, W) and gt (B, 3, H, W) in [0, 1]."""
        ...

    def to(self, device: torch.device, memory_format: torch.memory_format) -> None:
        """Move every network of the stage."""
        ...

    def restore(self, network: DiffIR, lq: Tensor, gt: Tensor, generator: torch.Generator) -> Tensor:
        """Restore with given weights of this stage's network, as validation wants it."""
        ...


class StageOne:
    """DIRformer and CPEN, guided by the oracle prior."""

    number: StageNumber = 1

    def __init__(self, settings: ArchSettings, config: TrainConfig) -> None:
        self.config = config
        self.network = DiffIR(settings, stage=1)
        extractor = list(self.network.cpen.parameters())
        encoder = Phase("prior", 0, config.encoder_iter, config.encoder_lr or config.optim_g.lr, extractor)
        whole = Phase(
            "pixel", config.encoder_iter, config.total_iter, config.optim_g.lr, list(self.network.parameters())
        )
        self.phases = [phase for phase in (encoder, whole) if phase.stop > phase.start]

    @torch.no_grad()
    def take_over(self, student: DiffIR, lq: Tensor) -> None:
        """Start from stage-2 weights: their DIRformer, and an oracle prior that begins as their mean one.

        A new CPEN knows nothing of the prior this DIRformer is used to. So its last layer starts as a constant, the
        mean of what the student estimates on lq (B, C, H, W), and grows from there.
        """
        self.network.dirformer.load_state_dict(student.dirformer.state_dict())
        mean = student.estimate_prior(lq, noise=torch.zeros(len(lq), student.settings.prior_width)).mean(dim=0)
        last = self.network.cpen.mlp[-1]
        assert isinstance(last, nn.Linear)
        last.weight.mul_(TAKE_OVER_GAIN)
        last.bias.copy_(torch.where(mean < 0, mean / LEAKY_SLOPE, mean))

    def losses(self, lq: Tensor, gt: Tensor, phase: Phase, generator: torch.Generator) -> Losses:
        """L1 between restored and clean image."""
        l_pix = pixel_l1(self.restore(self.network, lq, gt, generator), gt)
        return Losses(self.config.pixel_weight * l_pix, {"l_pix": l_pix})

    def to(self, device: torch.device, memory_format: torch.memory_format) -> None:
        """Move the network."""
        _move(self.network, device, memory_format)

    def restore(self, network: DiffIR, lq: Tensor, gt: Tensor, generator: torch.Generator) -> Tensor:
        """Restore under the oracle prior; draws nothing from the generator."""
        return network.restore(lq, network.oracle_prior(lq, gt))


class StageTwo:
    """DIRformer of stage 1, a CPEN that sees lq alone, and the denoiser, trained jointly."""

    number: StageNumber = 2

    def __init__(self, teacher: DiffIR, config: TrainConfig) -> None:
        self.config = config
        self.teacher = teacher.requires_grad_(False).eval()
        self.network = DiffIR(teacher.settings, stage=2)
        self.network.dirformer.load_state_dict(teacher.dirformer.state_dict())

        estimator = [*self.network.cpen.parameters(), *self.network.denoiser.parameters()]
        encoder = Phase("prior", 0, config.encoder_iter, config.encoder_lr or config.optim_g.lr, estimator)
        joint = Phase(
            "joint", config.encoder_iter, config.total_iter, config.optim_g.lr, list(self.network.parameters())
        )
        self.phases = [phase for phase in (encoder, joint) if phase.stop > phase.start]

    def losses(self, lq: Tensor, gt: Tensor, phase: Phase, generator: torch.Generator) -> Losses:
        """Prior L1, and in the joint phase the L1 between restored and clean image."""
        with torch.no_grad():
            oracle = self.teacher.oracle_prior(lq, gt)
        prior = self.network.estimate_prior(lq, generator=generator, teacher_prior=oracle)
        l_abs = prior_l1(prior, oracle)
        terms = {"l_abs": l_abs, "l_kd": prior_divergence(prior, oracle)}
        total = self.config.prior_weight * l_abs
        if phase.name == "joint":
            terms["l_pix"] = pixel_l1(self.network.restore(lq, prior), gt)
            total = total + self.config.pixel_weight * terms["l_pix"]
        return Losses(total, terms)

    def to(self, device: torch.device, memory_format: torch.memory_format) -> None:
        """Move student and teacher."""
        _move(self.network, device, memory_format)
        _move(self.teacher, device, memory_format)

    def restore(self, network: DiffIR, lq: Tensor, gt: Tensor, generator: torch.Generator) -> Tensor:
        """Restore from lq alone, as a user will."""
        return network.restore(lq, network.estimate_prior(lq, generator=generator))


def _move(network: DiffIR, device: torch.device, memory_format: torch.memory_format) -> None:
    network.to(device)
    network.to(memory_format=memory_format)  # type: ignore[call-overload]
