"""The settings of a DiffIR network, and the properties that follow from them.

The task table (``tasks.py`` in this folder) holds one such set of settings per task; a deblurring network and a
super-resolution network differ in nothing else. Source: Xia et al., "DiffIR", ICCV 2023, and the released option files.
"""

from dataclasses import asdict, dataclass
from typing import Any, Literal

from diffir.errors import ConfigError
from diffir.system import Facts, HoleFill
from diffir.typed_mapping import build

GlobalSkip = Literal["identity", "nearest", "none"]
NormKind = Literal["with_bias", "bias_free"]
PriorView = Literal["patch", "whole"]
Stage = Literal[1, 2]

LARGEST = 4096  # upper limit of every setting, so that a forged file cannot claim all memory
MOST_BLOCKS = 64  # of each kind; the published networks have at most eight, and thousands would take minutes to build
TONE_MARGIN = 32  # mirrored pixels beyond each edge; without them, a change of tone left a rim of about 16 pixels
LEVELS = 4  # levels of the U-shaped network; each has half the resolution of the one above
PRIOR_UNSHUFFLE_AT_SCALE_1 = 4  # CPEN reads the image through PixelUnshuffle(4 / scale)


@dataclass(frozen=True)
class ArchSettings:
    """Settings of one network. ``num_blocks`` and ``heads`` have four numbers, one per level."""

    in_channels: int = 3
    """Channels of lq: 3 for RGB, 4 for RGB and a mask."""
    out_channels: int = 3
    unshuffle: int = 1
    """Factor of the PixelUnshuffle in front of the U-shaped network; 1 means none."""
    upsample: int = 1
    """Upsampling factor of the output layers, a power of two; with 1 they are a single convolution."""
    one_conv_tail: bool = False
    """True if the output layers that upsample are one convolution, not one a doubling; both can compute the same."""
    global_skip: GlobalSkip = "identity"
    """The image that is added to the output: lq itself, lq enlarged by nearest neighbour, or none."""
    hole_fill: HoleFill = "zeros"
    """How the holes of lq are filled for the network: with zeros, or with a smooth interpolation of their border."""
    dim: int = 48
    """Width of level 1; level k has dim * 2^(k-1) channels."""
    num_blocks: tuple[int, ...] = (3, 5, 6, 6)
    num_refinement_blocks: int = 4
    heads: tuple[int, ...] = (1, 2, 4, 8)
    ffn_expansion: float = 2.0
    norm: NormKind = "with_bias"
    cpen_blocks: int = 5
    """Number of residual blocks in CPEN."""
    prior_width: int = 256
    """Length P of the prior vector (IPR); the first layer of CPEN has a quarter as many channels. 0 means no prior:
    gain and shift of every channel are then learnt numbers, and there are neither CPEN nor denoiser."""
    prior_view: PriorView = "patch"
    """What CPEN looks at: the image that is restored, in training a patch, or a thumbnail of the whole photo. ``whole``
    also means that training patches are cut from views of whole photos, which holds without a prior, too."""
    prior_thumbnail: int = 64
    """Side of that thumbnail in pixels of lq."""
    tone_side: int = 0
    """Longest side of the copy that the network restores, whose change of tone is carried over to the photo by affine
    functions of colour; 0 restores the photo itself. Training does not depend on it."""
    denoiser_blocks: int = 1
    """Number of layers of the denoiser after the first one."""
    num_timesteps: int = 4
    """Number of diffusion steps T."""
    linear_start: float = 0.1
    linear_end: float = 0.99

    def __post_init__(self) -> None:
        # Numbers: neither too small nor too large.
        counts = (self.in_channels, self.out_channels, self.unshuffle, self.upsample, self.dim, self.num_timesteps)
        if min(counts) < 1:
            raise ConfigError("channels, unshuffle, upsample, dim and num_timesteps must be 1 or more")
        if max(*counts, *self.heads, self.prior_width) > LARGEST:
            raise ConfigError(f"no network setting may exceed {LARGEST}")
        blocks = (*self.num_blocks, self.num_refinement_blocks, self.cpen_blocks, self.denoiser_blocks)
        if not all(0 <= count <= MOST_BLOCKS for count in blocks):
            raise ConfigError(f"numbers of blocks must be from 0 to {MOST_BLOCKS}, got {max(blocks, key=abs)}")

        # Widths: divisible as the layers need it.
        if len(self.num_blocks) != LEVELS or len(self.heads) != LEVELS:
            raise ConfigError(f"num_blocks and heads need {LEVELS} numbers, got {self.num_blocks} and {self.heads}")
        if self.prior_width < 0 or self.prior_width % 4:
            raise ConfigError(f"prior_width must be a multiple of 4, or 0 for no prior, got {self.prior_width}")
        if self.dim % 2 or int(self.dim * self.ffn_expansion) < 1:
            raise ConfigError(f"dim must be even, dim x ffn_expansion 1 or more: got {self.dim}, {self.ffn_expansion}")
        for level, heads in enumerate(self.heads):
            channels = self.dim * 2**level
            if heads < 1 or channels % heads:
                raise ConfigError(
                    f"level {level + 1} has {channels} channels, which are not divisible by {heads} heads"
                )

        # View of the prior, and the copy on which tones are found.
        if self.tone_side and (self.has_mask or self.scale != 1 or not 32 <= self.tone_side <= LARGEST):
            raise ConfigError(
                f"tone_side is 0 or from 32 to {LARGEST}, and not for networks that enlarge or take a mask"
            )
        if self.prior_view == "whole" and self.has_mask:
            raise ConfigError("prior_view whole is not for networks that take a mask (in_channels 4)")

        # Scale, mask and schedule.
        if self.upsample & (self.upsample - 1) or self.upsample % self.unshuffle or self.scale not in (1, 2, 4):
            raise ConfigError(
                f"upsample must be a power of two and 1, 2 or 4 times unshuffle: got {self.upsample}, {self.unshuffle}"
            )
        if not 8 <= self.prior_thumbnail <= 1024 or self.prior_thumbnail % self.prior_unshuffle:
            raise ConfigError(
                f"prior_thumbnail must be from 8 to 1024 and a multiple of {self.prior_unshuffle}, got "
                f"{self.prior_thumbnail}"
            )
        if self.one_conv_tail and self.upsample == 1:
            raise ConfigError("one_conv_tail is for networks whose output layers upsample")
        if self.hole_fill != "zeros" and not self.has_mask:
            raise ConfigError(f"hole_fill {self.hole_fill!r} is for networks that take a mask (in_channels 4)")
        if not 0 < self.linear_start <= self.linear_end < 1:
            raise ConfigError(f"betas need 0 < start <= end < 1, got {self.linear_start} and {self.linear_end}")

    @property
    def facts(self) -> Facts:
        """The properties of the network that the shared machinery reads."""
        margin = TONE_MARGIN if self.thumbnail else 0
        return Facts(
            self.scale, self.multiple_of, self.in_channels, self.hole_fill, self.thumbnail, margin, self.tone_side
        )

    @property
    def scale(self) -> int:
        """Side of the output divided by the side of lq."""
        return self.upsample // self.unshuffle

    @property
    def multiple_of(self) -> int:
        """Both sides of lq must be multiples of this number."""
        return 2 ** (LEVELS - 1) * self.unshuffle

    @property
    def has_mask(self) -> bool:
        """True if the last channel of lq is a mask (1 = missing)."""
        return self.in_channels == self.out_channels + 1

    @property
    def thumbnail(self) -> int:
        """Side of the thumbnail that CPEN looks at; 0 if it looks at the image itself."""
        return self.prior_thumbnail if self.prior_view == "whole" else 0

    @property
    def prior_unshuffle(self) -> int:
        """Factor of the PixelUnshuffle that lq passes in front of CPEN."""
        return PRIOR_UNSHUFFLE_AT_SCALE_1 // self.scale

    @property
    def gt_unshuffle(self) -> int:
        """Factor of the PixelUnshuffle that the ground truth passes in front of CPEN (stage 1)."""
        return self.prior_unshuffle * self.scale

    def cpen_channels(self, stage: Stage) -> int:
        """Number of input channels of CPEN: lq alone in stage 2, lq and the ground truth in stage 1."""
        lq = self.in_channels * self.prior_unshuffle**2
        return lq + self.out_channels * self.gt_unshuffle**2 if stage == 1 else lq

    def to_dict(self) -> dict[str, Any]:
        """All settings in plain types, ready for JSON."""
        return {key: list(value) if isinstance(value, tuple) else value for key, value in asdict(self).items()}

    @classmethod
    def from_dict(cls, values: dict[str, Any], where: str = "network settings") -> "ArchSettings":
        """Make settings from plain types; ``where`` is the beginning of every error message.

        Raises:
            ConfigError: a key is not a setting, or a value has the wrong type or is out of range.
        """
        return build(cls, values, where)
