"""``System``: one way to restore images, such as DiffIR, as shared machinery sees it.

A system subclasses ``System`` and inherits what it does not have; ``tests/toy_system.py`` is the smallest complete one.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

from diffir.errors import UsageError
from diffir.system.facts import Facts, NetworkRow, Released, ReleasedRow
from diffir.system.restoring import Engine, Precision
from diffir.system.training import FinetuneRequest, Stage, StageStart

if TYPE_CHECKING:
    import torch
    from torch import Tensor, nn

    from diffir.config import NetworkConfig, RunConfig, TrainConfig


@dataclass(frozen=True)
class NoOptions:
    """The options of a system that has none of its own."""


class System(Protocol):
    """One system: how its networks are built, restored with and trained. Subclasses inherit what they do not have."""

    name: str
    stages: tuple[str, ...]
    """Names of the stages in the order of training."""
    usual_stages: tuple[str, ...]
    """Stages that run where an option file does not say which."""
    restoring_part: str
    """The part whose weights restore photos without their clean image."""
    can_finetune: bool = False
    """Whether ``plan_finetuning`` is offered."""
    restore_options: type = NoOptions
    """Frozen dataclass of the system's own options of restoring; the command line makes flags of its fields."""

    @property
    def training_options(self) -> type:
        """Frozen dataclass of the system's own keys in a stage's section of an option file."""
        return NoOptions

    def row(self, network: "NetworkConfig") -> NetworkRow:
        """The network that an option file asks for.

        Raises:
            UsageError: no such row.
            ConfigError: a setting that does not exist or is out of range.
        """
        ...

    def facts(self, settings: Mapping[str, Any]) -> Facts:
        """Facts of a network with these settings. Raises ConfigError as ``row`` does."""
        ...

    def build(self, settings: Mapping[str, Any], part: str) -> "nn.Module":
        """A part of the system with fresh weights, float32, on the current default device."""
        ...

    def engine(self, network: "nn.Module", device: "torch.device", precision: Precision, options: Any) -> Engine:
        """The engine of a network of the restoring part; ``options`` is a ``restore_options``.

        Raises:
            UsageError: an option that is not possible here.
        """
        ...

    def stage(self, name: str, start: StageStart) -> Stage:
        """A stage before its first step; random numbers come from torch's global generator, which the caller seeds.

        Raises:
            ConfigError: weights that the stage needs are missing or have other settings.
            WeightsError: a file is not weights.
        """
        ...

    def suited_options(self, options: Any, task: str | None, settings: Mapping[str, Any], gt_patch: int | None) -> Any:
        """The restore options with ``auto`` replaced by what suits certain weights.

        Args:
            options: a ``restore_options``.
            task, settings, gt_patch: what the card of the weights says; ``gt_patch`` is the side of the last training
                patches in pixels of the ground truth.
        """
        return options

    def check(self, stage: "TrainConfig") -> None:
        """Raise ConfigError for a stage's section that the system cannot train with."""

    def shortened(self, own: Any, steps: int) -> Any:
        """A stage's own keys (``training_options``) for a rehearsal whose phases last at most ``steps``."""
        return own

    def plan_finetuning(self, request: FinetuneRequest) -> "RunConfig":
        """The options of a fine-tuning run.

        Raises:
            UsageError: the system offers no fine-tuning (``can_finetune``).
            ConfigError: the weights do not say what the plan needs.
        """
        raise UsageError(f"networks of the system {self.name} cannot be fine-tuned by diffir finetune")

    def read_released(self, state: Mapping[str, "Tensor"], source: str) -> Released | None:
        """What a released checkpoint holds; None if its names are not of this system.

        Raises:
            WeightsError: it is a checkpoint of this system, and damaged or of a kind that is not supported.
        """
        return None

    def matching_rows(self, settings: Mapping[str, Any], part: str) -> Sequence[str]:
        """Rows of the system's table that describe these weights."""
        return ()

    def released_rows(self) -> Sequence[ReleasedRow]:
        """Released weights that can be named but do not ship."""
        return ()

    def translated_options(self, values: Mapping[str, Any]) -> dict[str, Any] | None:
        """The authors' own option file as ours; None if the mapping is no such file."""
        return None
