"""Protocols for training: a stage defines what is trained and with which losses; the shared loop does the rest.

Steps are optimiser steps, counted from 0 within each stage.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol, runtime_checkable

from diffir.errors import UsageError

if TYPE_CHECKING:
    import numpy as np
    import torch
    from torch import Tensor, nn

    from diffir.config import OptimConfig, RunConfig, SchedulerConfig

FEWEST_STEPS = 100  # in a fine-tuning run; the effect of fewer steps is too small to measure
Noise = tuple["Tensor", ...]
"""Random tensors for one training batch; their number and shapes are chosen by the stage."""


class Pair(NamedTuple):
    """A low-quality image and its ground truth, or a batch of them with a leading axis B."""

    lq: "Tensor"
    """(C, h, w) float32, around [0, 1]; C is 4 with a mask: RGB without the missing pixels, then 1 where missing."""
    gt: "Tensor"
    """(3, S, S) float32 in [0, 1], RGB."""


class ThumbnailPair(NamedTuple):
    """A ``Pair`` with thumbnails of the whole photo that the patches are cut from; a batch has a leading axis B."""

    lq: "Tensor"
    gt: "Tensor"
    lq_thumbnail: "Tensor"
    """(C, t, t) float32: the whole low-quality photo, shrunk."""
    gt_thumbnail: "Tensor"
    """(3, scale*t, scale*t) float32: the whole ground truth, shrunk."""


class EncodedPair(NamedTuple):
    """What frozen networks made of a ``Pair``; a batch has a leading axis B."""

    lq: "Tensor"
    """(C, h, w) float32, with missing regions filled as the network receives them."""
    gt: "Tensor"
    """Latent (Z, h', w') of the ground truth."""
    lq_latent: "Tensor"
    """Latent (Z, h', w') of the low-quality image; without channels if the network reads none."""


Batch = Pair | ThumbnailPair | EncodedPair
"""A training batch; thumbnails are there if ``Facts.thumbnail`` of the network says so, latents if the stage asks."""


@dataclass(frozen=True)
class Learner:
    """A group of parameters that one optimiser updates."""

    name: str
    """The name is "g" for the restoring network and "d" for a discriminator."""
    parameters: Sequence["nn.Parameter"]
    optim: "OptimConfig"
    scheduler: "SchedulerConfig"


@dataclass(frozen=True)
class Phase:
    """A range of consecutive steps of a stage in which the same learners learn.

    A learner object that goes on in the next phase keeps its optimiser, and its schedule spans all of its phases.
    """

    name: str
    start: int
    stop: int
    """First step after the phase (exclusive end)."""
    learners: Sequence[Learner]


@dataclass(frozen=True)
class Losses:
    """The scalar to minimise, and its unweighted terms for the log."""

    total: "Tensor"
    terms: dict[str, "Tensor"]


RestoreImage = Callable[["nn.Module", "np.ndarray", "np.ndarray"], "np.ndarray"]
"""Restores one image: (network, low-quality image h x w x C, ground truth H x W x 3) -> H x W x 3 float32."""


class Stage(Protocol):
    """One stage of training: which parameters learn, with which losses and in which phases."""

    name: str
    part: str
    """The part of the system that is trained; ``System.build`` takes the same name."""
    phases: list[Phase]

    @property
    def network(self) -> "nn.Module":
        """The network that is trained and whose weights are published."""
        ...

    @property
    def discriminator(self) -> "nn.Module | None":
        """The discriminator, which is trained along with the network and saved in training states; None without one."""
        ...

    def losses(self, batch: Batch, phase: Phase, noise: Noise) -> Iterator[Losses]:
        """Yield one ``Losses`` for each learner of the phase, in order; backward runs on each before the next is taken.

        Args:
            batch: low-quality images (B, C, h, w) and ground truth (B, 3, H, W) in [0, 1].
            noise: result of ``draw_noise`` for this batch.
        """
        ...

    def draw_noise(self, lq: "Tensor", generator: "torch.Generator") -> Noise:
        """Draw the random numbers of a batch on the CPU: one tensor for each quantity, such as noise and time steps."""
        ...

    def extra_modules(self) -> list["nn.Module"]:
        """Networks beside ``network``, such as a teacher: moved to its device, neither trained by it nor saved."""
        ...

    def keep_activations(self, keep: bool) -> None:
        """Choose whether activations are stored for the backward pass (True) or recomputed in it (False)."""
        ...

    def restore(self, network: "nn.Module", lq: "np.ndarray", gt: "np.ndarray") -> "np.ndarray":
        """Restore a validation image with a network of this stage; arguments as in ``RestoreImage``.

        Validation uses one fixed seed and goes through the engine (``diffir.inference.whole.restore_whole``).
        """
        ...

    def further_scores(self, metric: str, own: float, mean_of: Callable[[RestoreImage], float]) -> dict[str, float]:
        """Additional scores that validation reports.

        Args:
            metric: name of the metric.
            own: the mean score of ``restore``.
            mean_of: measures the mean score of another way of restoring.
        """
        ...


@runtime_checkable
class EncodingStage(Stage, Protocol):
    """A stage whose frozen networks can encode the samples once, before the first step, instead of in every step."""

    encoded_patches: int
    """Number of different samples that are encoded and kept on disk; 0: each batch is encoded in its step."""

    def encode(self, batch: Batch) -> EncodedPair:
        """Encode a batch; ``losses`` takes the result as it takes the batch."""
        ...

    def encoding_facts(self) -> str:
        """A text that changes with everything, besides the batch, that ``encode`` depends on, such as weights."""
        ...


@dataclass(frozen=True)
class StageStart:
    """Everything that a stage may need before its first step."""

    config: "RunConfig"
    weights: Callable[[str], Path]
    """Stage name -> where this run keeps the finished weights of that stage, whether they exist or not."""
    load: "Callable[[str | Path, str | None], nn.Module]"
    """(name or file of weights, required part or None for any) -> network."""
    first_samples: Callable[[], Batch]
    """Returns the first training samples as a batch; called only if they are needed."""


@dataclass(frozen=True)
class Budget:
    """Length of a fine-tuning run: a number of steps or, without one, minutes on this machine."""

    steps: int | None = None
    minutes: float = 25.0

    def __post_init__(self) -> None:
        if self.steps is not None and self.steps < FEWEST_STEPS:
            raise UsageError(f"--steps must be {FEWEST_STEPS} or more, got {self.steps}")
        if not self.minutes > 0:
            raise UsageError(f"--minutes must be above 0, got {self.minutes:g}")


@dataclass(frozen=True)
class FinetuneRequest:
    """The arguments of ``diffir finetune`` and the network that it starts from."""

    network: "nn.Module"
    task: str | None
    settings: Mapping[str, Any]
    gt_patch: int | None
    """Side of the patches in the last training of these weights, in pixels of the ground truth."""
    licence: str
    card_name: str
    source: str
    """Name or file of the weights to start from."""
    photos: Path
    """Folder with the subfolders ``train`` and ``val`` that ``diffir.data.holdout.hold_out`` makes."""
    recipe: str
    """Name or file of the degradation recipe."""
    out: Path
    """Folder for everything that the run writes."""
    device: "torch.device"
    budget: Budget
    seed: int


BuildStage = Callable[[str, StageStart], Stage]
"""Builds a stage from its name and start; experiments pass functions of their own."""
