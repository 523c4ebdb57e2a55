"""The option for restoring that only Real-ESRGAN's compact networks have; the command line turns it into a flag."""

from dataclasses import dataclass, field
from typing import Annotated

from diffir.field_ranges import Within, check_fields


@dataclass(frozen=True)
class RealESRGANOptions:
    """Options for restoring with a compact network, in addition to ``RestoreOptions``."""

    denoise_strength: Annotated[float | None, Within(0, 1)] = field(
        default=None,
        metadata={
            "short": "-dn",
            "help": "0 keeps the grain, 1 removes noise and grain (default: 0.5); for other networks it is --strength",
        },
    )
    """Mixes the weights of a network and its twin, which denoises less; None is ``USUAL`` where there is a twin."""

    def __post_init__(self) -> None:
        check_fields(self)


USUAL = 0.5  # the default of Real-ESRGAN's own program
