"""The prior study: compare one DIRformer under the estimated prior, the oracle prior and uninformed priors.

In: a restorer and, for some kinds of prior, its stage-1 network. Out: a contestant for each kind of prior, and the
spread of results over start noises. Contestants differ only in the prior, except ``stage1``: this is the whole stage-1
network, which was the teacher of stage 2 and is its upper bound (DiffIR, Xia et al., ICCV 2023).
"""

import copy
import statistics
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from diffir.errors import UsageError
from diffir.evaluation.contestant import Contestant
from diffir.evaluation.prior_rows import MEANINGS, NEED_TEACHER, PriorKind, Spread
from diffir.evaluation.sample import Sample
from diffir.evaluation.scoring import as_scored
from diffir.inference.restorer import Restorer
from diffir.inference.source import Source
from diffir.metrics.fidelity import psnr
from diffir.metrics.protocol import Protocol
from diffir.systems.diffir.engine.engine import DiffIREngine
from diffir.systems.diffir.network import DiffIR
from diffir.systems.diffir.system import DIFFIR, PRIOR
from diffir.weights.fingerprint import fingerprint
from diffir.weights.load import load_network


@dataclass(frozen=True)
class Teacher:
    """A stage-1 network and the file that it was loaded from."""

    network: DiffIR
    weights: Path


def load_teacher(weights: Path) -> DiffIR:
    """Load the stage-1 network from a file; raises the errors of ``load_network``."""
    network, _ = load_network(weights, {DIFFIR.name: DIFFIR}, part=PRIOR)
    assert isinstance(network, DiffIR)
    return network


def engine_of(restorer: Restorer) -> DiffIREngine:
    """The DiffIR engine of a restorer.

    Raises:
        UsageError: the network has no prior, or belongs to another system.
    """
    if not isinstance(restorer.engine, DiffIREngine):
        raise UsageError(f"{restorer.name} is not a DiffIR network: --prior compares priors of DiffIR")
    if not restorer.engine.has_prior:
        raise UsageError(f"{restorer.name} has no prior: --prior compares priors")
    return restorer.engine


def with_prior(base: Contestant, restorer: Restorer, kind: PriorKind, teacher: Teacher | None = None) -> Contestant:
    """A copy of the contestant ``base``, a network, that restores under another kind of prior.

    Raises:
        UsageError: the kind needs the stage-1 network and ``teacher`` is missing or has other settings.
    """
    if kind == "diffusion":
        return base
    settings = {**base.settings, "prior": kind}
    if kind in NEED_TEACHER:
        _check_teacher(restorer, kind, teacher)
        assert teacher is not None
        settings["stage1_fingerprint"] = fingerprint(teacher.weights)
    guide = Guide(restorer, kind, teacher)
    return replace(
        base,
        name=f"{base.name}, {kind}",
        summary=f"{base.summary}; prior: {MEANINGS[kind]}",
        restore=guide.restore,
        settings=settings,
        prepare=guide.estimate_priors if kind in ("mean", "other") else None,
    )


class Guide:
    """Restores samples with a network under one kind of prior."""

    def __init__(self, restorer: Restorer, kind: PriorKind, teacher: Teacher | None) -> None:
        self.restorer = _stage_one_restorer(restorer, teacher) if kind == "stage1" else restorer
        self.kind = kind
        self.teacher = teacher
        self._estimated: dict[str, Tensor] = {}

    @property
    def engine(self) -> DiffIREngine:
        """The DiffIR engine of the restorer."""
        return engine_of(self.restorer)

    def estimate_priors(self, samples: Iterable[Sample]) -> None:
        """Estimate the priors of all images of the set; the kinds ``mean`` and ``other`` need them in advance."""
        self._estimated = {sample.name: self._estimate(sample) for sample in samples}

    def restore(self, sample: Sample) -> np.ndarray:
        """Restore one sample: H x W x 3 of the sample's data type."""
        return self.restorer.restore(sample.lq, self._mask(sample), prior=self.prior_of(sample))

    @torch.inference_mode()
    def prior_of(self, sample: Sample) -> Tensor:
        """The prior (1, P) of this kind for a sample, on the CPU."""
        makers: dict[PriorKind, Callable[[], Tensor]] = {
            "diffusion": lambda: self._estimate(sample),
            "oracle": lambda: self._oracle(sample),
            "stage1": lambda: self._oracle(sample),
            "condition": lambda: self._condition(sample).cpu(),
            "one-step": lambda: self._one_step(sample),
            "mean": lambda: self._mean_without(sample.name),
            "other": lambda: self._next(sample.name),
            "random": lambda: self.engine.start_noise(self.restorer.options.seed),
            "zero": lambda: torch.zeros(1, self.engine.network.settings.prior_width),
        }
        return makers[self.kind]()

    def _mask(self, sample: Sample) -> np.ndarray | None:
        return sample.mask if self.restorer.has_mask else None

    def _estimate(self, sample: Sample) -> Tensor:
        return self.restorer.estimate_prior_of(sample.lq, self._mask(sample))

    def _condition(self, sample: Sample) -> Tensor:
        """The conditioning vector (1, P) that CPEN computes from the low-quality image."""
        return self.engine.condition(self.restorer.source_of(sample.lq, self._mask(sample)))

    def _one_step(self, sample: Sample) -> Tensor:
        """The prior (1, P) that the denoiser predicts in its first step."""
        condition, network = self._condition(sample), self.engine.network
        noise = self.engine.start_noise(self.restorer.options.seed).to(condition.device)
        return network.denoiser(noise, network.settings.num_timesteps - 1, condition).cpu()

    def _mean_without(self, name: str) -> Tensor:
        """The mean (1, P) of the priors of all other images."""
        others = [prior for other, prior in self._estimated.items() if other != name]
        return torch.cat(others).mean(dim=0, keepdim=True)

    def _next(self, name: str) -> Tensor:
        """The prior (1, P) of the image that follows in the set."""
        names = list(self._estimated)
        return self._estimated[names[(names.index(name) + 1) % len(names)]]

    def _oracle(self, sample: Sample) -> Tensor:
        """The prior (1, P) that the teacher extracts from lq and ground truth."""
        assert self.teacher is not None
        network, settings = self.teacher.network, self.teacher.network.settings
        device = next(network.parameters()).device
        if sample.gt is None:
            raise UsageError(f"{sample.name} has no ground truth: an oracle prior needs one")

        # Pad both images as the network needs it.
        mask = self._mask(sample)
        lq = Source.whole(np.atleast_3d(sample.lq)[None], None if mask is None else mask[None], settings.facts)
        clean = Source.whole(np.atleast_3d(sample.gt)[None], None, settings.facts)
        gt = clean.region(slice(0, lq.height * settings.scale), slice(0, lq.width * settings.scale))
        tensors = (source.rows(0, source.height).to(device) for source in (lq, gt))
        return network.oracle_prior(*tensors).cpu()


def spread_over_noises(restorers: Sequence[Restorer], samples: Iterable[Sample], protocol: Protocol) -> Spread:
    """Measure how much results depend on the start noise of the diffusion.

    Args:
        restorers: two or more restorers of one network that differ in their seeds.
        samples: images with ground truth.
        protocol: colour space and border of the scores.
    """
    of_psnr, of_pixel, of_prior, means = [], [], [], []
    for sample in samples:
        # Restore the sample from every start noise.
        mask = sample.mask if restorers[0].has_mask else None
        priors = [restorer.estimate_prior_of(sample.lq, mask) for restorer in restorers]
        restored = [restorers[0].restore(sample.lq, mask, prior=prior) for prior in priors]
        images = np.stack([as_scored(image, round_output=False) for image in restored])

        # Standard deviations over the noises: PSNR, pixels, prior.
        truth = protocol.apply(sample.truth, data_range=255)
        of_psnr.append(statistics.stdev(psnr(protocol.apply(image, data_range=255), truth) for image in images))
        of_pixel.append(float(images.std(axis=0, ddof=1).mean()))
        stacked = torch.cat(priors)
        of_prior.append(float(stacked.std(dim=0).mean()))
        means.append(stacked.mean(dim=0))

    # Compare the spread of priors over noises with that over images.
    between = float(torch.stack(means).std(dim=0).mean()) if len(means) > 1 else 0.0
    share = statistics.fmean(of_prior) / between if between else float("inf")
    return Spread(len(restorers), statistics.fmean(of_psnr), statistics.fmean(of_pixel), share)


def _check_teacher(restorer: Restorer, kind: PriorKind, teacher: Teacher | None) -> None:
    if teacher is None:
        raise UsageError(
            f"--prior {kind} needs the stage-1 weights that were the teacher of {restorer.name}: --stage1 FILE"
        )
    settings = engine_of(restorer).network.settings
    if replace(teacher.network.settings, num_timesteps=settings.num_timesteps) != settings:
        raise UsageError(f"--stage1 {teacher.weights} has other network settings than {restorer.name}")


def _stage_one_restorer(restorer: Restorer, teacher: Teacher | None) -> Restorer:
    """A copy of a restorer with the DIRformer of stage 1; it must always be given a prior."""
    assert teacher is not None
    alone = copy.deepcopy(restorer)
    engine_of(alone).network.dirformer.load_state_dict(teacher.network.dirformer.state_dict())
    return alone
