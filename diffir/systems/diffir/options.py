"""DiffIR's own options of restoring; the command line makes flags of them."""

from dataclasses import dataclass, field
from typing import Literal

Blocks = Literal["auto", "native", "torch"]
Stats = Literal["auto", "tile", "global", "local"]


@dataclass(frozen=True)
class DiffIROptions:
    """How a DiffIR network restores, beside what all systems share."""

    engine: Blocks = field(
        default="auto",
        metadata={
            "help": "what runs the network on the CPU: compiled kernels, torch; auto: the kernels where they were built"
        },
    )
    """``native`` runs the blocks by compiled kernels (CPU, fp32 and bf16), ``torch`` by torch."""
    stats: Stats = field(
        default="auto",
        metadata={
            "help": "attention looks at each tile, the whole photo, or windows as in training; auto: what suits the "
            "weights"
        },
    )
    """What channel attention gathers its statistics from: ``global`` the whole photo, ``local`` windows as large as the
    training patches, ``tile`` each tile. ``auto`` is ``local`` if ``patch`` is given, else ``global``."""
    patch: int | None = field(default=None, metadata={"flag": False})
    """Side of the training patches in pixels of the input, which ``local`` needs. ``diffir.load`` takes it from the
    card of the weights."""
