"""The settings of a compact network of Real-ESRGAN, and the properties that follow from them."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Annotated, Any

from diffir.field_ranges import Within, check_fields
from diffir.system import Facts
from diffir.typed_mapping import build


@dataclass(frozen=True)
class CompactSettings:
    """Settings of one network; the defaults are those of Real-ESRGAN's general network for x4."""

    features: Annotated[int, Within(1, 1024)] = 64
    """Channels of every hidden layer."""
    convolutions: Annotated[int, Within(0, 256)] = 32
    """Number of 3x3 convolutions between the first and the last one."""
    scale: Annotated[int, Within(1, 16)] = 4
    """Side of the output divided by the side of the input."""

    def __post_init__(self) -> None:
        check_fields(self)

    @property
    def facts(self) -> Facts:
        """The properties of the network that the shared machinery reads."""
        return Facts(self.scale)

    @property
    def reach(self) -> int:
        """Pixels of lq to each side that one pixel of the output depends on: one for each 3x3 convolution."""
        return self.convolutions + 2

    def to_dict(self) -> dict[str, Any]:
        """All settings in plain types, ready for JSON."""
        return asdict(self)

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> "CompactSettings":
        """Make settings from plain types; raises ConfigError for an unknown key or a value out of range."""
        return build(cls, dict(values), "network settings")
