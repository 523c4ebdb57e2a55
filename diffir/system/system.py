"""``System``: the interface of one restoration method, such as DiffIR, towards the shared machinery.

A system subclasses ``System`` and inherits the defaults of everything it does not support; ``tests/toy_system.py`` is
the smallest complete example.
"""

from abc import abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from diffir.errors import UsageError
from diffir.system.facts import Facts, NetworkRow, Released, ReleasedRow
from diffir.system.restoring import Engine, Precision

if TYPE_CHECKING:
    import torch
    from torch import Tensor, nn

    from diffir.config import NetworkConfig, RunConfig, TrainConfig
    from diffir.system.training import FinetuneRequest, Stage, StageStart


@dataclass(frozen=True)
class NoOptions:
    """The options of a system that adds none to those all systems share."""


class System(Protocol):
    """One restoration method: how its networks are built, trained and used to restore photos."""

    name: str
    """Name in option files and cards, such as "diffir"."""
    stages: tuple[str, ...] = ()
    """Names of the training stages in their order; a system that only restores has none."""
    usual_stages: tuple[str, ...] = ()
    """Stages that run if an option file does not list any."""
    restoring_part: str
    """The part that ``diffir restore`` loads; it holds every network that restoring needs, such as an autoencoder."""
    can_finetune: bool = False
    """True if the system implements ``plan_finetuning``."""
    takes_losses: bool = False
    """True if the stages add the losses of other packages, the section ``losses`` of an option file, to their own."""
    restore_options: type = NoOptions
    """Frozen dataclass of options for restoring that only this system has; its fields become command-line flags."""
    is_last_resort: bool = False
    """True if this system is asked whether it knows a checkpoint only after all others have not recognised it."""

    @property
    def parts(self) -> tuple[str, ...]:
        """Names of the parts that have weights of their own; a run may start from given weights of each."""
        return self.stages or (self.restoring_part,)

    @property
    def training_options(self) -> type:
        """Frozen dataclass of keys that only this system has in a stage's section of an option file."""
        return NoOptions

    def stages_for(self, network: "NetworkConfig") -> tuple[str, ...]:
        """The stages that train this network if an option file names none; raises the errors of ``row``."""
        return self.usual_stages

    def row(self, network: "NetworkConfig") -> NetworkRow:
        """The network that an option file describes.

        Raises:
            UsageError: the table has no such row, or the system has none because it only restores.
            ConfigError: a setting does not exist or is out of range.
        """
        raise UsageError(f"networks of the system {self.name} restore photos and are not trained by diffir")

    @abstractmethod
    def facts(self, settings: Mapping[str, Any]) -> Facts:
        """Facts of a network with these settings; raises ConfigError as ``row`` does."""
        ...

    @abstractmethod
    def build(self, settings: Mapping[str, Any], part: str) -> "nn.Module":
        """Build a part of the system with newly initialised float32 weights on torch's default device.

        That device may be "meta": constants such as noise schedules are Python numbers or persistent buffers. The
        module keeps its settings, since ``engine`` receives nothing else.
        """
        ...

    @abstractmethod
    def engine(self, network: "nn.Module", device: "torch.device", precision: Precision, options: Any) -> Engine:
        """Make the engine that restores with a network of the part ``restoring_part``.

        Args:
            options: an instance of ``restore_options``.
        Raises:
            UsageError: an option is not possible on this device.
        """
        ...

    def suited_precision(self, network: "nn.Module", asked: str, options: Any) -> str:
        """The precision to ask the device for, such as "auto"; ``asked`` unless networks do not run in every precision.

        Args:
            options: an instance of ``restore_options``.
        Raises:
            UsageError: the network cannot run in this precision.
        """
        return asked

    def stage(self, name: str, start: "StageStart") -> "Stage":
        """Prepare a stage for its first step, with random numbers of torch's global generator, which the caller seeds.

        Raises:
            ConfigError: weights that the stage needs are missing or have other settings.
            WeightsError: a file does not hold weights.
        """
        raise UsageError(f"networks of the system {self.name} restore photos and are not trained by diffir")

    def suited_options(self, options: Any, task: str | None, settings: Mapping[str, Any], gt_patch: int | None) -> Any:
        """The options with ``auto`` replaced by what is recommended for certain weights; only ``diffir.load`` asks.

        Args:
            options: an instance of ``restore_options``.
            task, settings, gt_patch: fields of the card of the weights; ``gt_patch`` is the side of the last training
                patches in pixels of the ground truth.
        """
        return options

    def check(self, name: str, stage: "TrainConfig") -> None:
        """Raise ConfigError if a stage of this name cannot be trained with this section of an option file."""
        return None

    def check_run(self, config: "RunConfig") -> None:
        """Raise ConfigError if the network of an option file cannot be trained by the stages and options in it."""
        return None

    def shortened(self, own: Any, steps: int) -> Any:
        """A copy of a stage's ``training_options`` for a rehearsal in which no phase lasts longer than ``steps``."""
        return own

    def plan_finetuning(self, request: "FinetuneRequest") -> "RunConfig":
        """Choose the options of a fine-tuning run.

        Raises:
            UsageError: the system does not support fine-tuning (see ``can_finetune``).
            ConfigError: the card of the weights lacks a field that the plan needs.
        """
        raise UsageError(f"networks of the system {self.name} cannot be fine-tuned by diffir finetune")

    def fold_prior(self, network: "nn.Module", prior: "Tensor") -> tuple["nn.Module", Mapping[str, Any]]:
        """Fold a fixed prior (1, P) into a network; return the new network, which estimates none, and its settings.

        Raises:
            UsageError: the network has no prior, or one of another width.
        """
        raise UsageError(f"networks of the system {self.name} have no prior")

    def export_onnx(self, network: "nn.Module", facts: Mapping[str, Any], folder: Path, options: Any) -> float:
        """Write a network as ONNX graphs into a folder, with a script that runs them.

        Args:
            network: of the part ``restoring_part``.
            facts: what the metadata of the graphs say of the weights, such as their name.
            options: an instance of ``restore_options``, of which the graphs hold what decides a result.
        Returns:
            The largest difference between the results of graphs and network, in the range [0, 1] of an image.
        Raises:
            UsageError: networks of this system, or this one, cannot be written as graphs.
            MissingDependency: a package of the extra "onnx" is not installed.
        """
        raise UsageError(f"networks of the system {self.name} cannot be exported to ONNX")

    def write_diffusers_folder(self, network: "nn.Module", folder: Path, dtype: "torch.dtype") -> None:
        """Write a network into a new folder in the layout of the library diffusers, with parameters of this dtype.

        Raises:
            UsageError: the layout has no networks of this system, or not this one, or the folder is not empty.
        """
        raise UsageError(f"the layout of diffusers has no networks of the system {self.name}")

    def read_released(self, state: Mapping[str, "Tensor"], source: str) -> Released | None:
        """Read a released checkpoint; None if its tensor names are not those of this system.

        Raises:
            WeightsError: the checkpoint belongs to this system but is damaged or of an unsupported kind.
        """
        return None

    def read_folder(self, folder: Path) -> Released | None:
        """Read released weights that are a folder of several files; None if it is in no layout of this system.

        Raises:
            WeightsError: files of the layout are missing or damaged, or describe a network of an unsupported kind.
            OSError: a file cannot be read.
        """
        return None

    def matching_rows(self, settings: Mapping[str, Any], part: str) -> Sequence[str]:
        """Names of the rows of the system's table whose networks have these settings."""
        return ()

    def released_rows(self) -> Sequence[ReleasedRow]:
        """Weights that the authors released and that are not part of the diffir package."""
        return ()

    def translated_options(self, values: Mapping[str, Any]) -> dict[str, Any] | None:
        """Translate an option file of the method's authors into diffir's keys; None if the mapping is no such file."""
        return None
