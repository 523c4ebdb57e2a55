"""What shared machinery may know of a network, of a row of a system's table, and of a released checkpoint."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

if TYPE_CHECKING:  # these import torch, which takes seconds, and ``diffir models`` needs facts but no torch
    from torch import Tensor

    from diffir.metrics.protocol import Protocol as MetricProtocol

HoleFill = Literal["zeros", "membrane"]
"""What a network sees in missing regions: zeros, or a smooth surface interpolated from their border."""


@dataclass(frozen=True)
class Facts:
    """What shared machinery may know of a network before it is built. Sides are in pixels of the low-quality image."""

    scale: int = 1
    """Side of the output divided by the side of the input."""
    multiple_of: int = 1
    """Sides of the input are padded to multiples of this."""
    in_channels: int = 3
    """Channels of the input: 3 for RGB, 4 for RGB and a mask that is 1 where pixels are missing."""
    hole_fill: HoleFill = "zeros"

    @property
    def has_mask(self) -> bool:
        """Whether the network fills missing regions and so needs a mask with every photo."""
        return self.in_channels == 4


@dataclass(frozen=True)
class NetworkRow:
    """The network that an option file asks for: a row of the system's table with the file's changes."""

    task: str
    """Name of the row."""
    summary: str
    settings: dict[str, Any]
    """All settings of the network in plain types, as they stand in a card."""
    facts: Facts
    protocol: "MetricProtocol"
    """How validation compares images: colour space and border."""


@dataclass(frozen=True)
class Released:
    """What a system recognised in a checkpoint that its authors released."""

    part: str
    settings: dict[str, Any]
    state: dict[str, "Tensor"]
    """Tensors under diffir's names."""
    task: str | None


@dataclass(frozen=True)
class ReleasedRow:
    """Weights that the authors of a method released and that do not ship with diffir."""

    name: str
    task: str
    facts: Facts
    summary: str
    parameters: int
    url: str
    scores: tuple[tuple[str, str, float, str], ...] = ()
    """Published scores: dataset, metric, value, protocol."""
