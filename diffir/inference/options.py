"""The options for restoring that all systems share.

The values are checked once, here; the object is passed on whole and written whole into records of results.
"""

from dataclasses import dataclass, field
from typing import Annotated

from diffir.errors import UsageError
from diffir.field_ranges import Within, check_fields
from diffir.inference.mask_seam import LARGEST_GROWTH

AUTO = 0  # value of ``tile``: cut photos into tiles only if memory requires it
WHOLE = -1  # value of ``tile``: never cut photos into tiles
LARGEST_SEED = 2**63 - 1  # the largest seed that torch accepts on every platform


@dataclass(frozen=True)
class RestoreOptions:
    """Device, precision, tiles, self-ensemble, strength, edges and seed."""

    device: str = "auto"
    """One of auto, cpu, cuda, cuda:N and mps."""
    precision: str = "auto"
    """One of auto, fp32, bf16 and fp16."""
    tile: int = AUTO
    """Side of the tiles in pixels of the input; ``AUTO`` (0) chooses by free memory, ``WHOLE`` (-1) never cuts."""
    tile_overlap: int = 32
    """Pixels that neighbouring tiles share; at most half a tile."""
    tta: bool = False
    """Self-ensemble: average the results of all eight rotations and reflections, at eight times the cost."""
    strength: float = 1.0
    """1 gives the restored photo, 0 the input (enlarged bicubically); values in between blend the two."""
    seamless: bool = False
    """For textures that are tiled: beyond each edge the network sees the opposite side, so that edges meet."""
    denoise_strength: Annotated[float | None, Within(0, 1)] = field(
        default=None, metadata={"help": "0 keeps the grain, 1 removes the most noise; empty: as the network recommends"}
    )
    """For weights with a weaker twin (``diffir.weights.twins``): 1 is the network that removes the most noise, 0 its
    twin, which keeps the grain, and values in between mix their weights. None takes the mix of the card."""
    mask_grow: int = 0
    """Inpainting: also restore so many pixels around the mask, and blend them into the photo."""
    seed: int = 0
    """Determines every random number of a restoration."""

    def __post_init__(self) -> None:
        check_fields(self)
        if self.tile < WHOLE:
            raise UsageError(f"tile must be {AUTO} (by memory), {WHOLE} (whole) or a number of pixels, got {self.tile}")
        if self.tile_overlap < 0:
            raise UsageError(f"tile_overlap must be 0 or more, got {self.tile_overlap}")
        if not 0 <= self.mask_grow <= LARGEST_GROWTH:
            raise UsageError(f"mask_grow must be from 0 to {LARGEST_GROWTH} pixels, got {self.mask_grow}")
        if not 0 <= self.seed <= LARGEST_SEED:
            raise UsageError(f"seed must be from 0 to {LARGEST_SEED}, got {self.seed}")
        if not 0 <= self.strength <= 1:
            raise UsageError(f"strength must be from 0 (the input) to 1 (restored), got {self.strength}")
