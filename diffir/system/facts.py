"""Plain records that describe a network, a row of a system's table of networks, and a released checkpoint.

Shared machinery reads these records instead of the settings of a particular system.
"""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

if TYPE_CHECKING:  # these import torch, which takes seconds, and ``diffir models`` needs facts without torch
    from torch import Tensor, nn

    from diffir.metrics.protocol import Protocol as MetricProtocol

HoleFill = Literal["zeros", "membrane"]
"""How missing regions are filled before the network reads them: with zeros, or with a smooth surface that is
interpolated from their border."""


@dataclass(frozen=True)
class Facts:
    """Properties of a network that are known before it is built. Sides are in pixels of the low-quality image."""

    scale: int = 1
    """Side of the output divided by the side of the input."""
    multiple_of: int = 1
    """The sides of the input are padded to multiples of this number."""
    in_channels: int = 3
    """Channels of the input: 3 for RGB, 4 for RGB and a mask that is 1 where pixels are missing."""
    hole_fill: HoleFill = "zeros"
    """How missing regions are filled before the network reads them."""
    thumbnail: int = 0
    """Side of the thumbnail of the whole photo that the network reads besides; 0 if it reads none."""
    margin: int = 0
    """Mirrored pixels that the network sees beyond each edge of a photo, since its results near an edge are worse."""
    tone_side: int = 0
    """Longest side of the small copy that the network restores, whose change of tone is carried over to the photo; 0 if
    it restores the photo itself."""

    @property
    def has_mask(self) -> bool:
        """True if the network fills missing regions and therefore needs a mask with every photo."""
        return self.in_channels == 4


@dataclass(frozen=True)
class NetworkRow:
    """The network that an option file describes: a row of the system's table with the changes that the file makes."""

    task: str
    """Name of the row in the table."""
    summary: str
    """One line for ``diffir models``."""
    settings: dict[str, Any]
    """All settings of the network in plain types, as they are written into a card."""
    facts: Facts
    protocol: "MetricProtocol"
    """How validation compares images: colour space and cropped border."""


@dataclass(frozen=True)
class Released:
    """The contents of a checkpoint that the authors of a method released, translated for diffir."""

    part: str
    """The part of the system that the tensors belong to; ``System.build`` takes the same name."""
    settings: dict[str, Any]
    state: dict[str, "Tensor"]
    """State dict under the parameter names that diffir uses."""
    task: str | None
    """Row of the system's table; None if no row has these settings."""
    notes: str = ""
    """What the card says about the origin of the tensors, such as "averaged weights"."""
    network: "nn.Module | None" = None
    """The network with these tensors, where the settings do not suffice to build it; None leaves it to
    ``System.build``."""


@dataclass(frozen=True)
class ReleasedRow:
    """Weights that the authors of a method released and that are not part of the diffir package."""

    name: str
    task: str
    facts: Facts
    summary: str
    parameters: int
    url: str
    scores: tuple[tuple[str, str, float, str], ...] = ()
    """Published scores, each as dataset, metric, value and protocol."""
