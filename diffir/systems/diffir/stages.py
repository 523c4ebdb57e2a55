"""What each stage learns: its networks, its losses and its phases.

Stage 1 trains DIRformer and CPEN with the clean image in sight (DiffIR, ICCV 2023, eq. 8). Stage 2 inherits DIRformer
and learns to estimate the same prior from lq alone; a phase of prior training alone may come before the joint one
(eq. 13). The teacher of stage 2 is the stage-1 network, frozen, its prior detached. Stage 3 is stage 2 that goes on
from its own weights, usually against a discriminator.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Protocol

import torch
from torch import Tensor, nn

from diffir.config import OptimConfig, SchedulerConfig, StageNumber, TrainConfig
from diffir.losses import prior_divergence, prior_l1
from diffir.systems.diffir import ArchSettings, DiffIR
from diffir.systems.diffir.fit import take_what_fits
from diffir.systems.diffir.layers import LEAKY_SLOPE
from diffir.training.criterion import Criterion, Losses

TAKE_OVER_GAIN = 0.1  # of the last layer of a new CPEN beside its constant; a choice of taste


@dataclass(frozen=True)
class Learner:
    """Parameters that one optimiser moves."""

    name: str
    """"g" or "d"."""
    parameters: Sequence[nn.Parameter]
    optim: OptimConfig
    scheduler: SchedulerConfig


@dataclass(frozen=True)
class Phase:
    """A run of steps with optimisers of its own."""

    name: str
    start: int
    stop: int
    """First step that no longer belongs to it."""
    learners: Sequence[Learner]


class Stage(Protocol):
    """What the training loop needs to know of a stage."""

    number: StageNumber
    network: DiffIR
    criterion: Criterion
    phases: list[Phase]

    def losses(self, lq: Tensor, gt: Tensor, phase: Phase, noise: Tensor) -> Iterator[Losses]:
        """One for each learner of the phase, in order; the caller runs backward on each before it asks for the next.

        lq (B, C, h, w) and gt (B, 3, H, W) in [0, 1]; noise (B, P), standard normal.
        """
        ...

    def companions(self) -> list[nn.Module]:
        """Networks besides ``network`` that must be on its device."""
        ...

    def prior(self, network: DiffIR, lq: Tensor, gt: Tensor, noise: Tensor) -> Tensor:
        """The prior (B, P) that validation restores with, by given weights of this stage's network."""
        ...


class StageOne:
    """DIRformer and CPEN, guided by the oracle prior."""

    number: StageNumber = 1

    def __init__(self, settings: ArchSettings, config: TrainConfig) -> None:
        self.network = DiffIR(settings, stage=1)
        self.criterion = Criterion(config, settings)
        self.phases = _phases(config, self.network.cpen.parameters(), self.network.parameters(), self.criterion)

    @torch.no_grad()
    def take_over(self, other: DiffIR, lq: Tensor) -> None:
        """Start from stage-2 weights, or from another row's: what fits of their DIRformer, and the prior it is used to.

        A new CPEN knows nothing of that prior. So its last layer starts as a constant, the mean of what a stage-2
        network of the same prior width estimates on lq (B, C, H, W), and grows from there.

        Raises:
            WeightsError: no part of that DIRformer fits.
        """
        take_what_fits(self.network.dirformer, other.dirformer)
        width = other.settings.prior_width
        sees = other.settings.in_channels <= lq.shape[1]
        if other.stage == 1 or width != self.network.settings.prior_width or not sees:
            return
        known = lq[:, : other.settings.in_channels]
        mean = other.estimate_prior(known, noise=torch.zeros(len(lq), width)).mean(dim=0)
        last = self.network.cpen.mlp[-1]
        assert isinstance(last, nn.Linear)
        last.weight.mul_(TAKE_OVER_GAIN)
        last.bias.copy_(torch.where(mean < 0, mean / LEAKY_SLOPE, mean))

    def losses(self, lq: Tensor, gt: Tensor, phase: Phase, noise: Tensor) -> Iterator[Losses]:
        """Losses of images restored under the oracle prior; the noise is not used."""
        restored = self.network.restore(lq, self.prior(self.network, lq, gt, noise))
        if phase.name == ESTIMATOR_ALONE:
            yield self.criterion.pixel_losses(restored, gt, lq)
            return
        yield self.criterion.generator_losses(restored, gt, lq)
        if self.criterion.discriminator is not None:
            yield self.criterion.discriminator_losses(restored.detach(), gt, lq)

    def companions(self) -> list[nn.Module]:
        """Those of the criterion."""
        return _of_criterion(self.criterion)

    def prior(self, network: DiffIR, lq: Tensor, gt: Tensor, noise: Tensor) -> Tensor:
        """The oracle prior."""
        return network.oracle_prior(lq, self.criterion.guide(gt))


class StageTwo:
    """DIRformer of stage 1, a CPEN that sees lq alone, and the denoiser, trained jointly."""

    def __init__(self, teacher: DiffIR, config: TrainConfig, *, number: StageNumber = 2) -> None:
        self.number = number
        self.config = config
        self.teacher = teacher.requires_grad_(False).eval()
        self.network = DiffIR(teacher.settings, stage=2)
        self.network.dirformer.load_state_dict(teacher.dirformer.state_dict())
        self.criterion = Criterion(config, teacher.settings)
        estimator = [*self.network.cpen.parameters(), *self.network.denoiser.parameters()]
        self.phases = _phases(config, estimator, self.network.parameters(), self.criterion)

    def losses(self, lq: Tensor, gt: Tensor, phase: Phase, noise: Tensor) -> Iterator[Losses]:
        """Prior L1, and in the joint phase the losses of the restored image."""
        oracle = self.oracle_prior(lq, gt)
        prior = self.estimate(self.network, lq, noise, oracle)
        l_abs = prior_l1(prior, oracle)
        of_prior = Losses(self.config.prior_weight * l_abs, {"l_abs": l_abs, "l_kd": prior_divergence(prior, oracle)})
        if phase.name == ESTIMATOR_ALONE:
            yield of_prior
            return
        restored = self.network.restore(lq, prior)
        of_image = self.criterion.generator_losses(restored, gt, lq)
        yield Losses(of_prior.total + of_image.total, of_prior.terms | of_image.terms)
        if self.criterion.discriminator is not None:
            yield self.criterion.discriminator_losses(restored.detach(), gt, lq)

    def companions(self) -> list[nn.Module]:
        """The teacher and those of the criterion."""
        return [self.teacher, *_of_criterion(self.criterion)]

    def prior(self, network: DiffIR, lq: Tensor, gt: Tensor, noise: Tensor) -> Tensor:
        """Estimated from lq alone, as a user will."""
        return self.estimate(network, lq, noise, None)

    def estimate(self, network: DiffIR, lq: Tensor, noise: Tensor, oracle: Tensor | None) -> Tensor:
        """The prior (B, P) by diffusion, in training from a noisy oracle; experiments may put something else here."""
        return network.estimate_prior(lq, noise=noise, teacher_prior=oracle)

    @torch.no_grad()
    def oracle_prior(self, lq: Tensor, gt: Tensor) -> Tensor:
        """The teacher's, (B, P): what the estimate should be."""
        return self.teacher.oracle_prior(lq, self.criterion.guide(gt))


ESTIMATOR_ALONE, TOGETHER = "prior", "joint"  # names of phases


def _phases(
    config: TrainConfig, estimator: Iterable[nn.Parameter], everything: Iterable[nn.Parameter], criterion: Criterion
) -> list[Phase]:
    """First what makes the prior alone, if the options ask for it, then all together, with a discriminator if any."""
    alone = config.optim_g if config.encoder_lr is None else replace(config.optim_g, lr=config.encoder_lr)
    learners = [Learner("g", list(everything), config.optim_g, config.scheduler)]
    if criterion.discriminator is not None:
        learners.append(Learner("d", list(criterion.discriminator.parameters()), criterion.optim_d, config.scheduler))
    phases = [
        Phase(
            ESTIMATOR_ALONE,
            0,
            config.encoder_iter,
            [Learner("g", list(estimator), alone, config.encoder_scheduler or config.scheduler)],
        ),
        Phase(TOGETHER, config.encoder_iter, config.total_iter, learners),
    ]
    return [phase for phase in phases if phase.stop > phase.start]


def _of_criterion(criterion: Criterion) -> list[nn.Module]:
    return [*criterion.frozen, *([criterion.discriminator] if criterion.discriminator is not None else [])]
