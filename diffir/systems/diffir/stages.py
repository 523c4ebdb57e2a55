"""The training stages of DiffIR: the networks that are trained, their losses and their phases.

Stage 1 trains DIRformer and CPEN with the ground truth as a second input (DiffIR, ICCV 2023, eq. 8). Stage 2 starts
with that DIRformer and learns to estimate the same prior from lq alone; a phase that trains only the prior may precede
the joint one (eq. 13). The teacher of stage 2 is the frozen stage-1 network. Stage 3 continues stage 2 from its own
weights, usually with a discriminator. Weights that are continued with ``prior_weight`` 0 need no teacher.
"""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace
from typing import Literal

import numpy as np
import torch
from torch import Tensor, nn

from diffir.config import TrainConfig
from diffir.data.samples import to_tensor
from diffir.data.validation_set import SEED
from diffir.inference.whole import restore_whole
from diffir.seeds import generator_for
from diffir.system import Batch, Learner, Losses, Noise, Phase, RestoreImage, ThumbnailPair
from diffir.systems.diffir.dirformer import Block, Level
from diffir.systems.diffir.engine.engine import DiffIREngine
from diffir.systems.diffir.layers import LEAKY_SLOPE
from diffir.systems.diffir.network import DiffIR
from diffir.systems.diffir.partial_load import take_what_fits
from diffir.systems.diffir.prior_losses import prior_divergence, prior_l1, prior_r2
from diffir.systems.diffir.restore_options import DiffIROptions
from diffir.systems.diffir.settings import ArchSettings
from diffir.systems.diffir.system import DIFFUSION, PRIOR
from diffir.systems.diffir.training_options import DiffIRTraining
from diffir.training.criterion import Criterion

TAKE_OVER_GAIN = 0.1  # scales the weights of a last layer, so that its bias dominates; our choice
PRIOR_ONLY, JOINT = "prior", "joint"  # names of phases


PriorOf = Callable[[DiffIR, Tensor, Tensor, Tensor], Tensor]
"""Computes the prior (B, P) of a validation image from network, lq, gt and noise."""


@torch.no_grad()
def restore_under(
    prior_of: PriorOf, network: nn.Module, lq: np.ndarray, gt: np.ndarray, strip_pixels: int
) -> np.ndarray:
    """Restore a validation image under a given kind of prior, in fp32 and in strips, as the engine does it for users.

    Args:
        lq, gt: low-quality image h x w x C and ground truth H x W x 3.
        strip_pixels: pixels of a strip; 0 for what suits the device.
    Returns:
        H x W x 3 float32.
    """
    # The prior comes from the whole image, and from noise that is the same in every validation.
    assert isinstance(network, DiffIR)
    device = next(network.parameters()).device
    noise = torch.randn(1, network.settings.prior_width, generator=generator_for(SEED)).to(device)
    lq_tensor, gt_tensor = (to_tensor(image)[None].to(device) for image in (lq, gt))
    prior = prior_of(network, lq_tensor, gt_tensor, noise)
    options = DiffIROptions(engine="torch", stats="global")
    engine = DiffIREngine(network, device, "fp32", options, strip_pixels=strip_pixels)
    return restore_whole(engine, lq, seed=SEED, prior=prior)


class _DiffIRStage:
    """The parts that all stages of DiffIR share."""

    name: str
    part: str
    network: DiffIR
    criterion: Criterion
    strip_pixels: int
    """Number of pixels per strip in validation; 0 chooses by device and free memory."""

    @property
    def discriminator(self) -> nn.Module | None:
        return self.criterion.discriminator

    def draw_noise(self, lq: Tensor, generator: torch.Generator) -> Noise:
        """The standard normal noise (B, P) that the diffusion starts from."""
        return (torch.randn(len(lq), self.network.settings.prior_width, generator=generator),)

    def keep_activations(self, keep: bool) -> None:
        """Choose for all blocks of DIRformer whether activations are stored or recomputed in the backward pass."""
        for level in self.network.modules():
            if isinstance(level, Level):
                level.keeps_activations = keep

    def choose_engine(self, engine: Literal["auto", "torch"]) -> None:
        """Choose what computes the blocks in training, as ``DiffIRTraining.engine`` describes it."""
        for block in self.network.modules():
            if isinstance(block, Block):
                block.may_be_fused = engine == "auto"

    def further_scores(self, metric: str, own: float, mean_of: Callable[[RestoreImage], float]) -> dict[str, float]:
        """No scores but those of ``restore``."""
        return {}


class StageOne(_DiffIRStage):
    """Stage 1: DIRformer and CPEN are trained under the oracle prior."""

    def __init__(self, settings: ArchSettings, config: TrainConfig, *, strip_pixels: int = 0) -> None:
        self.name = self.part = PRIOR
        self.strip_pixels = strip_pixels
        self.network = DiffIR(settings, stage=1)
        self.choose_engine(own_options(config).engine)
        self.criterion = Criterion(config, has_mask=settings.has_mask)
        self.phases = _phases(config, self.network.cpen.parameters(), self.network.parameters(), self.criterion)

    @torch.no_grad()
    def take_over(self, other: DiffIR, lq: Tensor) -> None:
        """Initialise from stage-2 weights or from those of another task: copy their DIRformer where tensors fit.

        The new CPEN has not learnt the prior that this DIRformer was trained with. If a stage-2 network of the same
        prior width is given, the last layer of CPEN therefore starts as nearly constant: its output is the mean of the
        priors that the given network estimates on lq (B, C, H, W). For one without a prior it is 1, which makes the
        modulation that of the given network.

        Raises:
            WeightsError: no tensor of that DIRformer fits.
        """
        take_what_fits(self.network.dirformer, other.dirformer)
        own_width, width = self.network.settings.prior_width, other.settings.prior_width
        if not width:
            set_mean(last_layer(self.network.cpen.mlp), torch.ones(own_width))
        elif other.stage == 2 and width == own_width and other.settings.in_channels <= lq.shape[1]:
            set_mean(last_layer(self.network.cpen.mlp), mean_prior(other, lq))

    def losses(self, batch: Batch, phase: Phase, noise: Noise) -> Iterator[Losses]:
        """Yield the losses of images restored under the oracle prior; the noise is not used."""
        lq, gt = batch.lq, batch.gt
        restored = self.network.restore(lq, self.prior(self.network, *seen_by_cpen(batch), noise[0]))
        if phase.name == PRIOR_ONLY:
            yield self.criterion.pixel_losses(restored, gt, lq)
            return
        yield self.criterion.generator_losses(restored, gt, lq)
        if self.criterion.discriminator is not None:
            yield self.criterion.discriminator_losses(restored.detach(), gt, lq)

    def extra_modules(self) -> list[nn.Module]:
        """The discriminator and the perceptual network, if there are any."""
        return self.criterion.modules()

    def restore(self, network: nn.Module, lq: np.ndarray, gt: np.ndarray) -> np.ndarray:
        """Restore a validation image under the oracle prior."""
        return restore_under(self.prior, network, lq, gt, self.strip_pixels)

    def prior(self, network: DiffIR, lq: Tensor, gt: Tensor, noise: Tensor) -> Tensor:
        """The oracle prior (B, P), which CPEN extracts from lq and the ground truth."""
        return network.oracle_prior(lq, self.criterion.cpen_target(gt))


class StageTwo(_DiffIRStage):
    """Stage 2 or 3: DIRformer of stage 1, a CPEN whose input is lq alone, and the denoiser are trained jointly.

    Args:
        teacher: stage-1 network whose priors are the targets; None if ``network`` is trained without a loss of the
            prior, and the diffusion then starts from noise in training, too. A network without a prior has none.
        network: stage-2 network to continue; None for a new one with the teacher's DIRformer.
    """

    part = DIFFUSION

    def __init__(
        self,
        teacher: DiffIR | None,
        config: TrainConfig,
        *,
        network: DiffIR | None = None,
        name: str = DIFFUSION,
        strip_pixels: int = 0,
    ) -> None:
        self.name = name
        self.strip_pixels = strip_pixels
        self.own = own_options(config)
        self.teacher = None if teacher is None else teacher.requires_grad_(False).eval()
        if network is None:
            assert teacher is not None
            network = DiffIR(teacher.settings, stage=2)
            network.dirformer.load_state_dict(teacher.dirformer.state_dict())
        self.network = network
        self.choose_engine(self.own.engine)
        self.criterion = Criterion(config, has_mask=network.settings.has_mask)
        estimator: list[nn.Parameter] = []
        if network.settings.prior_width:
            estimator = [*network.cpen.parameters(), *network.denoiser.parameters()]
        self.phases = _phases(config, estimator, self.network.parameters(), self.criterion)

    @torch.no_grad()
    def start_from_teacher(self, batch: Batch) -> None:
        """Initialise CPEN and the denoiser so that the first estimates are near the mean prior of a batch.

        CPEN gets the weights of the teacher's, without those that read the ground truth. The weights of the denoiser's
        last layer are small, and its bias gives the mean oracle prior. From random weights, the first estimates would
        spoil a DIRformer that has learnt to depend on its prior.
        """
        assert self.teacher is not None
        own, known = self.network.cpen.state_dict(), self.teacher.cpen.state_dict()
        self.network.cpen.load_state_dict(
            {name: known[name][:, : own[name].shape[1]] if known[name].ndim > 1 else known[name] for name in own}
        )
        set_mean(self.last_of_prior, self.oracle_prior(*seen_by_cpen(batch)).mean(dim=0))

    @property
    def last_of_prior(self) -> nn.Linear:
        """The layer whose output is the estimated prior."""
        return last_layer(self.network.denoiser.layers)

    def losses(self, batch: Batch, phase: Phase, noise: Noise) -> Iterator[Losses]:
        """Yield the L1 loss of the prior, in the joint phase together with the losses of the restored image."""
        # Compare the estimated prior with that of the teacher, if there is one.
        lq, gt = batch.lq, batch.gt
        seen_lq, seen_gt = seen_by_cpen(batch)
        oracle = None if self.teacher is None else self.oracle_prior(seen_lq, seen_gt)
        prior = self.estimate(self.network, seen_lq, noise[0], oracle)
        of_prior = Losses(torch.zeros((), device=lq.device), {})
        if oracle is not None:
            l_abs = prior_l1(prior, oracle)
            of_prior = Losses(self.own.prior_weight * l_abs, {"l_abs": l_abs, "l_kd": prior_divergence(prior, oracle)})
        if phase.name == PRIOR_ONLY:
            yield of_prior
            return

        # Add the losses of the image restored under the estimate.
        restored = self.network.restore(lq, prior)
        of_image = self.criterion.generator_losses(restored, gt, lq)
        yield Losses(of_prior.total + of_image.total, of_prior.terms | of_image.terms)
        if self.criterion.discriminator is not None:
            yield self.criterion.discriminator_losses(restored.detach(), gt, lq)

    def extra_modules(self) -> list[nn.Module]:
        """The teacher and, if there are any, the discriminator and the perceptual network."""
        return [*([self.teacher] if self.teacher is not None else []), *self.criterion.modules()]

    def restore(self, network: nn.Module, lq: np.ndarray, gt: np.ndarray) -> np.ndarray:
        """Restore a validation image under the estimated prior."""
        return restore_under(self.prior, network, lq, gt, self.strip_pixels)

    def prior(self, network: DiffIR, lq: Tensor, gt: Tensor, noise: Tensor) -> Tensor:
        """The prior (B, P) estimated from lq alone, without ground truth."""
        return self.estimate(network, lq, noise, None)

    def estimate(self, network: DiffIR, lq: Tensor, noise: Tensor, oracle: Tensor | None) -> Tensor:
        """Estimate the prior (B, P) by diffusion.

        In training the reverse process starts from the noisy ``oracle`` prior, otherwise from noise. Subclasses for
        experiments override this method.
        """
        return network.estimate_prior(lq, noise=noise, teacher_prior=oracle)

    @torch.no_grad()
    def oracle_prior(self, lq: Tensor, gt: Tensor) -> Tensor:
        """The prior (B, P) of the teacher, which is the target of the estimate."""
        assert self.teacher is not None
        return self.teacher.oracle_prior(lq, self.criterion.cpen_target(gt))

    def further_scores(self, metric: str, own: float, mean_of: Callable[[RestoreImage], float]) -> dict[str, float]:
        """Scores of the same weights under other priors, which show whether the prior matters and how good it is.

        ``oracle_METRIC`` is the score under the teacher's prior, ``prior_gap`` its advantage. With two or more photos,
        ``prior_gain`` is the advantage of the estimate over the mean of the estimates, and ``prior_r2`` the share of
        the variance of the teacher's priors that the estimates explain. A dead prior has neither gap nor gain. Without
        a teacher there are no such scores.
        """
        if self.teacher is None:
            return {}
        estimates: list[Tensor] = []
        oracles: list[Tensor] = []

        def oracle(network: DiffIR, lq: Tensor, gt: Tensor, noise: Tensor) -> Tensor:
            estimates.append(self.prior(network, lq, gt, noise))
            oracles.append(self.oracle_prior(lq, gt))
            return oracles[-1]

        def mean(network: DiffIR, lq: Tensor, gt: Tensor, noise: Tensor) -> Tensor:
            return torch.cat(estimates).mean(dim=0, keepdim=True)

        def score(prior_of: PriorOf) -> float:
            return mean_of(lambda network, lq, gt: restore_under(prior_of, network, lq, gt, self.strip_pixels))

        bound = score(oracle)
        scores = {f"oracle_{metric}": bound, "prior_gap": bound - own}
        if len(estimates) > 1:
            scores |= {"prior_gain": own - score(mean), "prior_r2": prior_r2(torch.cat(estimates), torch.cat(oracles))}
        return scores


def seen_by_cpen(batch: Batch) -> tuple[Tensor, Tensor]:
    """The images of a batch that CPEN looks at: thumbnails of whole photos if there are any, else lq and gt."""
    return (batch.lq_thumbnail, batch.gt_thumbnail) if isinstance(batch, ThumbnailPair) else (batch.lq, batch.gt)


@torch.no_grad()
def mean_prior(network: DiffIR, lq: Tensor) -> Tensor:
    """The mean (P) of the priors that a stage-2 network estimates on lq (B, C, H, W), from noise of zeros."""
    known = lq[:, : network.settings.in_channels]
    return network.estimate_prior(known, noise=torch.zeros(len(lq), network.settings.prior_width)).mean(dim=0)


def last_layer(layers: nn.ModuleList) -> nn.Linear:
    """The last of the linear layers that compute a prior."""
    last = layers[-1]
    assert isinstance(last, nn.Linear)
    return last


def set_mean(last: nn.Linear, mean: Tensor) -> None:
    """Make the last layer of a network of priors nearly constant, so that after its LeakyReLU it gives ``mean`` (P)."""
    last.weight.mul_(TAKE_OVER_GAIN)
    last.bias.copy_(torch.where(mean < 0, mean / LEAKY_SLOPE, mean))


def own_options(config: TrainConfig) -> DiffIRTraining:
    """The keys of DiffIR in a stage's options, or their defaults if the options were made without them."""
    return config.own if isinstance(config.own, DiffIRTraining) else DiffIRTraining()


def _phases(
    config: TrainConfig, estimator: Iterable[nn.Parameter], everything: Iterable[nn.Parameter], criterion: Criterion
) -> list[Phase]:
    """The phase that trains only the networks of the prior, if it has any steps, and the joint phase.

    Args:
        estimator: parameters of the networks that compute the prior.
        everything: parameters of the whole network.
    """
    # Learners of the joint phase.
    own = own_options(config)
    alone = config.optim_g if own.encoder_lr is None else replace(config.optim_g, lr=own.encoder_lr)
    learners = [Learner("g", list(everything), config.optim_g, config.scheduler)]
    if criterion.discriminator is not None:
        learners.append(Learner("d", list(criterion.discriminator.parameters()), criterion.optim_d, config.scheduler))

    # The first phase has a learning rate and a schedule of its own.
    first = [Learner("g", list(estimator), alone, own.encoder_scheduler or config.scheduler)]
    phases = [
        Phase(PRIOR_ONLY, 0, own.encoder_iter, first),
        Phase(JOINT, own.encoder_iter, config.total_iter, learners),
    ]
    return [phase for phase in phases if phase.stop > phase.start]
