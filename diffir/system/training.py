"""Protocols of training: a stage says what learns and from which losses; the loop does the rest."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from diffir.errors import UsageError

if TYPE_CHECKING:
    import numpy as np
    import torch
    from torch import Tensor, nn

    from diffir.config import OptimConfig, RunConfig, SchedulerConfig

FEWEST_STEPS = 100  # of a fine-tuning; fewer change nothing that can be measured
Noise = tuple["Tensor", ...]
"""Random numbers of one training batch, in whatever form the stage wants them."""


@dataclass(frozen=True)
class Learner:
    """Parameters that one optimiser updates."""

    name: str
    """"g" for the restoring network, "d" for a discriminator."""
    parameters: Sequence["nn.Parameter"]
    optim: "OptimConfig"
    scheduler: "SchedulerConfig"


@dataclass(frozen=True)
class Phase:
    """Consecutive steps of a stage that share their optimisers."""

    name: str
    start: int
    stop: int
    """The first step that no longer belongs to the phase."""
    learners: Sequence[Learner]


@dataclass(frozen=True)
class Losses:
    """The scalar to minimise, and the unweighted terms that are logged."""

    total: "Tensor"
    terms: dict[str, "Tensor"]


RestoreImage = Callable[["nn.Module", "np.ndarray", "np.ndarray"], "np.ndarray"]
"""Network, low-quality image h x w x C and ground truth H x W x 3 -> restored image H x W x 3 float32."""


class Stage(Protocol):
    """One stage of training: what learns, from which losses, in which phases."""

    name: str
    part: str
    """Which part of the system its weights are; ``System.build`` takes the same word."""
    phases: list[Phase]

    @property
    def network(self) -> "nn.Module":
        """The network that is trained and published."""
        ...

    @property
    def discriminator(self) -> "nn.Module | None":
        """The discriminator that is trained beside it, and kept in training states; None without one."""
        ...

    def losses(self, lq: "Tensor", gt: "Tensor", phase: Phase, noise: Noise) -> Iterator[Losses]:
        """Losses for each learner of the phase, in order; the caller runs backward on each before it takes the next.

        lq (B, C, h, w) and gt (B, 3, H, W) are in [0, 1].
        """
        ...

    def draw_noise(self, lq: "Tensor", generator: "torch.Generator") -> Noise:
        """Random numbers for a batch of the shape of ``lq``, on the CPU."""
        ...

    def extra_modules(self) -> list["nn.Module"]:
        """Networks beside ``network`` that must be on its device."""
        ...

    def keep_activations(self, keep: bool) -> None:
        """Choose whether the backward pass finds activations stored (True) or computes them again."""
        ...

    def restore(self, network: "nn.Module", lq: "np.ndarray", gt: "np.ndarray") -> "np.ndarray":
        """Restore a validation image with given weights of this stage's network; see ``RestoreImage``."""
        ...

    def further_scores(self, metric: str, own: float, mean_of: Callable[[RestoreImage], float]) -> dict[str, float]:
        """Scores beside its own that validation reports; ``mean_of`` measures another way of restoring."""
        ...


@dataclass(frozen=True)
class StageStart:
    """What a stage may need to take its first step."""

    config: "RunConfig"
    weights: Callable[[str], Path]
    """Stage name -> where this run keeps the finished weights of that stage."""
    load: "Callable[[str | Path, str | None], nn.Module]"
    """Name or file of weights, the part that is needed (None: any) -> the network."""
    first_lq: Callable[[], "Tensor"]
    """Draws low-quality images (B, C, h, w) of the stage's first samples; called only where it is needed."""


@dataclass(frozen=True)
class Budget:
    """How long to fine-tune: a number of steps, or minutes of this machine."""

    steps: int | None = None
    minutes: float = 25.0

    def __post_init__(self) -> None:
        if self.steps is not None and self.steps < FEWEST_STEPS:
            raise UsageError(f"--steps must be {FEWEST_STEPS} or more, got {self.steps}")
        if not self.minutes > 0:
            raise UsageError(f"--minutes must be above 0, got {self.minutes:g}")


@dataclass(frozen=True)
class FinetuneRequest:
    """What ``diffir finetune`` was asked for, and the network that it starts from."""

    network: "nn.Module"
    task: str | None
    settings: Mapping[str, Any]
    gt_patch: int | None
    licence: str
    card_name: str
    source: str
    """Name or file of the weights."""
    photos: Path
    """Folder with ``train`` and ``val``, as ``diffir.data.holdout.hold_out`` leaves it."""
    recipe: str
    """Name or file of the degradation recipe."""
    out: Path
    """The run's folder."""
    device: "torch.device"
    budget: Budget
    seed: int


BuildStage = Callable[[str, StageStart], Stage]
