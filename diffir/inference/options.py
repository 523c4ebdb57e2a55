"""The options of restoring that all systems share: checked once, passed whole, written whole into records."""

from dataclasses import dataclass

from diffir.errors import UsageError

AUTO = 0  # value of ``tile``: by free memory
WHOLE = -1  # value of ``tile``: never
LARGEST_SEED = 2**63 - 1  # the largest that torch takes on every platform


@dataclass(frozen=True)
class RestoreOptions:
    """How photos are restored."""

    device: str = "auto"
    """auto, cpu, cuda, cuda:N or mps."""
    precision: str = "auto"
    """auto, fp32, bf16 or fp16."""
    tile: int = AUTO
    """Side of tiles in pixels of the input; ``AUTO`` (0) chooses by free memory, ``WHOLE`` (-1) never cuts."""
    tile_overlap: int = 32
    """Pixels that neighbouring tiles share; at most half a tile."""
    tta: bool = False
    """Self-ensemble: the mean over the eight turns and mirrorings, eight times the work."""
    strength: float = 1.0
    """1 is the restored photo, 0 the input (enlarged bicubically), and values between are a blend."""
    seed: int = 0
    """Decides every random number of a restoration."""

    def __post_init__(self) -> None:
        if self.tile < WHOLE:
            raise UsageError(f"tile must be {AUTO} (by memory), {WHOLE} (whole) or a number of pixels, got {self.tile}")
        if self.tile_overlap < 0:
            raise UsageError(f"tile_overlap must be 0 or more, got {self.tile_overlap}")
        if not 0 <= self.seed <= LARGEST_SEED:
            raise UsageError(f"seed must be from 0 to {LARGEST_SEED}, got {self.seed}")
        if not 0 <= self.strength <= 1:
            raise UsageError(f"strength must be from 0 (the input) to 1 (restored), got {self.strength}")
