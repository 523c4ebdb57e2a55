"""The numbers that make one DiffIR network, and the facts that follow from them.

A task is a row of such numbers (``tasks.py`` beside this file); nothing else distinguishes a deblurring network from
a super-resolution network. Source: Xia et al., "DiffIR", ICCV 2023, and the released option files.
"""

from dataclasses import asdict, dataclass
from typing import Any, Literal

from diffir.errors import ConfigError
from diffir.system import Facts, HoleFill
from diffir.typed_mapping import build

GlobalSkip = Literal["identity", "nearest", "none"]
NormKind = Literal["with_bias", "bias_free"]
Stage = Literal[1, 2]

LARGEST = 4096  # of any setting: far above every use, low enough that a forged file cannot ask for all memory
LEVELS = 4  # encoder levels of the U; each halves the sides
PRIOR_UNSHUFFLE_AT_SCALE_1 = 4  # CPEN looks at the image through PixelUnshuffle(4 / scale)


@dataclass(frozen=True)
class ArchSettings:
    """Settings of one network. Lengths of ``num_blocks`` and ``heads`` are four, one per level."""

    in_channels: int = 3
    """Channels of lq: 3 for RGB, 4 for RGB and a mask."""
    out_channels: int = 3
    unshuffle: int = 1
    """PixelUnshuffle factor in front of the U."""
    upsample: int = 1
    """Upsampling of the tail, a power of two; 1 means one output convolution instead."""
    global_skip: GlobalSkip = "identity"
    """What is added to the output: lq itself, lq enlarged by nearest neighbour, or nothing."""
    hole_fill: HoleFill = "zeros"
    """What the network sees in the holes of lq: nothing, or the smooth surface that their surroundings span."""
    dim: int = 48
    """Width of level 1; level k has dim * 2^(k-1) channels."""
    num_blocks: tuple[int, ...] = (3, 5, 6, 6)
    num_refinement_blocks: int = 4
    heads: tuple[int, ...] = (1, 2, 4, 8)
    ffn_expansion: float = 2.0
    norm: NormKind = "with_bias"
    cpen_blocks: int = 5
    """Residual blocks of CPEN."""
    prior_width: int = 256
    """Numbers in the prior (IPR); CPEN's first width is a quarter of it."""
    denoiser_blocks: int = 1
    """Hidden layers of the denoising MLP after its first."""
    num_timesteps: int = 4
    linear_start: float = 0.1
    linear_end: float = 0.99

    def __post_init__(self) -> None:
        counts = (self.in_channels, self.out_channels, self.unshuffle, self.upsample, self.dim, self.num_timesteps)
        if min(counts) < 1:
            raise ConfigError("channels, unshuffle, upsample, dim and num_timesteps must be 1 or more")
        if max(*counts, *self.num_blocks, *self.heads, self.prior_width, self.num_refinement_blocks) > LARGEST:
            raise ConfigError(f"no network setting may exceed {LARGEST}")
        if min(*self.num_blocks, self.num_refinement_blocks, self.cpen_blocks, self.denoiser_blocks) < 0:
            raise ConfigError("numbers of blocks must be 0 or more")
        if len(self.num_blocks) != LEVELS or len(self.heads) != LEVELS:
            raise ConfigError(f"num_blocks and heads need {LEVELS} numbers, got {self.num_blocks} and {self.heads}")
        if self.prior_width < 4 or self.prior_width % 4:
            raise ConfigError(f"prior_width must be a multiple of 4, got {self.prior_width}")
        if self.dim % 2 or int(self.dim * self.ffn_expansion) < 1:
            raise ConfigError(f"dim must be even, dim x ffn_expansion 1 or more: got {self.dim}, {self.ffn_expansion}")
        for level, heads in enumerate(self.heads):
            channels = self.dim * 2**level
            if heads < 1 or channels % heads:
                raise ConfigError(f"level {level + 1} has {channels} channels: not divisible by {heads} heads")
        if self.upsample & (self.upsample - 1) or self.upsample % self.unshuffle or self.scale not in (1, 2, 4):
            raise ConfigError(
                f"upsample must be a power of two and 1, 2 or 4 times unshuffle: got {self.upsample}, {self.unshuffle}"
            )
        if self.hole_fill != "zeros" and not self.has_mask:
            raise ConfigError(f"hole_fill {self.hole_fill!r} is for networks that take a mask (in_channels 4)")
        if not 0 < self.linear_start <= self.linear_end < 1:
            raise ConfigError(f"betas need 0 < start <= end < 1, got {self.linear_start} and {self.linear_end}")

    @property
    def facts(self) -> Facts:
        """What shared machinery may know of the network."""
        return Facts(self.scale, self.multiple_of, self.in_channels, self.hole_fill)

    @property
    def scale(self) -> int:
        """Side of the output over side of lq."""
        return self.upsample // self.unshuffle

    @property
    def multiple_of(self) -> int:
        """Sides of lq must be multiples of this."""
        return 2 ** (LEVELS - 1) * self.unshuffle

    @property
    def has_mask(self) -> bool:
        """Whether lq carries a mask as its last channel (1 = missing)."""
        return self.in_channels == self.out_channels + 1

    @property
    def prior_unshuffle(self) -> int:
        """PixelUnshuffle factor between lq and CPEN."""
        return PRIOR_UNSHUFFLE_AT_SCALE_1 // self.scale

    @property
    def gt_unshuffle(self) -> int:
        """PixelUnshuffle factor between the clean image and CPEN (stage 1)."""
        return self.prior_unshuffle * self.scale

    def cpen_channels(self, stage: Stage) -> int:
        """Input channels of CPEN: lq alone in stage 2, lq and the clean image in stage 1."""
        lq = self.in_channels * self.prior_unshuffle**2
        return lq + self.out_channels * self.gt_unshuffle**2 if stage == 1 else lq

    def to_dict(self) -> dict[str, Any]:
        """Plain types, ready for JSON."""
        return {key: list(value) if isinstance(value, tuple) else value for key, value in asdict(self).items()}

    @classmethod
    def from_dict(cls, values: dict[str, Any], where: str = "network settings") -> "ArchSettings":
        """Inverse of ``to_dict``; ``where`` opens every error message.

        Raises:
            ConfigError: a key that is not a setting, or a value of another kind or out of range.
        """
        return build(cls, values, where)
