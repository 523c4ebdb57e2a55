"""The settings of a latent diffusion network, and the properties that follow from them.

A network consists of an autoencoder, whose latents have 1/f of the photo's resolution, and of a denoiser, which
restores the latent of a photo from noise. Source: Rombach et al., "High-Resolution Image Synthesis with Latent
Diffusion Models", CVPR 2022, and the released option files.
"""

from dataclasses import asdict, dataclass
from typing import Annotated, Any, Literal

from diffir.errors import ConfigError
from diffir.field_ranges import Within, check_fields
from diffir.system import Facts, HoleFill
from diffir.typed_mapping import build

Regulariser = Literal["kl", "vq"]
Prediction = Literal["eps", "v"]
Condition = Literal["image", "latent", "mask", "mask_pixels", "labels"]
Context = Literal["given", "image"]
Spacing = Literal["leading", "trailing"]

LARGEST = 16384  # upper limit of every setting, so that a forged file cannot claim all memory; codebooks are that large
MAX_LEVELS = 7
Count = Annotated[int, Within(0, LARGEST)]


def _check_levels(where: str, channels: int, multipliers: tuple[int, ...], factors: tuple[int, ...]) -> None:
    """Refuse multipliers and attention factors that are not positive or too large."""
    if not 1 <= len(multipliers) <= MAX_LEVELS or not all(m >= 1 and m * channels <= LARGEST for m in multipliers):
        raise ConfigError(f"{where}: multipliers must be 1 to {MAX_LEVELS} positive numbers, got {list(multipliers)}")
    if not all(1 <= factor <= LARGEST for factor in factors):
        raise ConfigError(f"{where}: attention_factors must be positive, got {list(factors)}")


@dataclass(frozen=True)
class AutoencoderSettings:
    """Settings of the encoder, the regulariser of the latent and the decoder (LDM, section 3.1)."""

    regulariser: Regulariser = "kl"
    """kl: the latent is drawn from a normal distribution; vq: the decoder rounds it to the nearest codes."""
    channels: Annotated[int, Within(1, LARGEST)] = 128
    """Width of the first level; level k has channels * multipliers[k]."""
    multipliers: tuple[int, ...] = (1, 2, 4)
    """Each level after the first halves the resolution."""
    num_blocks: Annotated[int, Within(1, 64)] = 2
    """Residual blocks per level of the encoder; the decoder has one more."""
    z_channels: Annotated[int, Within(1, LARGEST)] = 3
    """Channels of the encoder's output, without the variances of ``kl``."""
    latent_channels: Annotated[int, Within(1, LARGEST)] = 3
    """Channels of the latent."""
    codes: Annotated[int, Within(1, LARGEST)] = 8192
    """Size of the codebook of ``vq``."""
    counts_use: bool = False
    """Keep the number of steps since each code was used, so that unused ones can be restarted (``vq``); ours."""
    attention_factors: tuple[int, ...] = ()
    """Downsampling factors of the levels whose blocks are followed by self-attention."""
    mid_attention: bool = True
    """Self-attention between the two blocks at the lowest resolution."""
    unshuffle: Annotated[int, Within(1, 8)] = 1
    """Factor of the PixelUnshuffle before the encoder and of the PixelShuffle after the decoder; 1 means none."""
    linear_code: bool = False
    """Add the best linear code of f x f patches (principal components) beside encoder and decoder; ours."""

    def __post_init__(self) -> None:
        check_fields(self)
        _check_levels("autoencoder", self.channels, self.multipliers, self.attention_factors)

    @property
    def factor(self) -> int:
        """Side of the photo divided by the side of its latent (f)."""
        return self.unshuffle * 2 ** (len(self.multipliers) - 1)


@dataclass(frozen=True)
class DenoiserSettings:
    """Settings of the U-Net that restores latents (LDM, section 3.2)."""

    channels: Annotated[int, Within(1, LARGEST)] = 160
    multipliers: tuple[int, ...] = (1, 2, 2, 4)
    num_blocks: Annotated[int, Within(1, 64)] = 2
    attention_factors: tuple[int, ...] = (8,)
    """Downsampling factors of the levels whose blocks are followed by attention; the middle always has it."""
    heads: Count = 0
    """Number of attention heads; 0 derives it from ``head_channels``."""
    head_channels: Count = 32
    """Width of an attention head if ``heads`` is 0."""
    updown_blocks: bool = False
    """Change the resolution in residual blocks instead of single convolutions."""
    scale_shift: bool = False
    """Let the time embedding scale and shift the second normalisation instead of being added."""
    context_channels: Count = 0
    """Width of the context vectors for cross-attention; 0: self-attention alone."""
    transformer_depth: Annotated[int, Within(1, 64)] = 1

    def __post_init__(self) -> None:
        check_fields(self)
        _check_levels("denoiser", self.channels, self.multipliers, self.attention_factors)
        for multiplier in self.multipliers:
            width = self.channels * multiplier
            if (self.heads or self.head_channels) < 1 or width % (self.heads or self.head_channels):
                raise ConfigError(f"denoiser: {width} channels cannot be split into attention heads; change heads")

    def num_heads(self, width: int) -> int:
        """Number of attention heads of a level with this many channels."""
        return self.heads or width // self.head_channels

    @property
    def multiple_of(self) -> int:
        """The sides of the latent must be multiples of this number."""
        return 2 ** (len(self.multipliers) - 1)


@dataclass(frozen=True)
class DiffusionSettings:
    """The noise schedule, what the denoiser predicts, and which latent is diffused."""

    timesteps: Annotated[int, Within(1, 10_000)] = 1000
    linear_start: float = 0.0015
    """First beta; the square roots of the betas are equally spaced."""
    linear_end: float = 0.0155
    prediction: Prediction = "eps"
    """eps: the noise; v: the velocity of Salimans and Ho (ICLR 2022)."""
    spacing: Spacing = "leading"
    """Time steps of the sampler ddim: leading begins at step 1, trailing ends at the last step."""
    steps: Annotated[int, Within(1, 1000)] = 50
    """Number of sampling steps if the user does not choose one."""
    temperature: Annotated[float, Within(0, 2)] = 1.0
    """Factor on the noise that sampling starts from, if the user does not choose one."""
    residual: bool = False
    """Diffuse the difference from the latent of the enlarged or filled input instead of the latent itself; ours."""

    def __post_init__(self) -> None:
        check_fields(self)
        if self.steps > self.timesteps:
            raise ConfigError(f"steps must be at most timesteps, {self.timesteps}, got {self.steps}")
        if not 0 < self.linear_start <= self.linear_end < 1:
            raise ConfigError(f"betas need 0 < start <= end < 1, got {self.linear_start} and {self.linear_end}")


@dataclass(frozen=True)
class LatentSettings:
    """All settings of one latent diffusion network."""

    autoencoder: AutoencoderSettings = AutoencoderSettings()
    denoiser: DenoiserSettings = DenoiserSettings()
    diffusion: DiffusionSettings = DiffusionSettings()
    condition: tuple[Condition, ...] = ("image",)
    """What is concatenated to the noisy latent: the low-quality image itself (scale = f), the latent of the enlarged or
    filled image, the mask shrunk to the latent by nearest neighbour (``mask``) or rearranged without loss
    (``mask_pixels``), label maps."""
    context: Context = "given"
    """Where the vectors for cross-attention come from: the caller, or an encoder of the low-quality image."""
    scale: Annotated[int, Within(1, 16)] = 4
    """Side of the output divided by the side of the low-quality image."""
    hole_fill: HoleFill = "zeros"
    clean_input: bool = False
    """The low-quality image is a clean photo that was shrunk, so a result should equal it when shrunk again."""
    labels: Count = 0
    """Number of label maps for the condition ``labels``."""

    def __post_init__(self) -> None:
        check_fields(self)
        if not self.condition and not self.denoiser.context_channels:
            raise ConfigError("condition is empty: name image, latent, mask or labels")
        if "image" in self.condition and self.scale != self.autoencoder.factor:
            raise ConfigError(
                f"the condition image needs scale equal to the autoencoder's factor {self.autoencoder.factor}, "
                f"got scale {self.scale}"
            )
        if self.autoencoder.factor % self.scale:
            raise ConfigError(f"scale must divide the autoencoder's factor {self.autoencoder.factor}, got {self.scale}")
        if ("labels" in self.condition) != (self.labels > 0):
            raise ConfigError("labels and the condition labels need each other")
        if self.clean_input and self.scale == 1:
            raise ConfigError("clean_input is for networks that enlarge")
        if self.has_mask and self.scale != 1:
            raise ConfigError("the conditions mask and mask_pixels are for networks of scale 1")
        if self.context == "image" and not self.denoiser.context_channels:
            raise ConfigError("context image needs denoiser: context_channels above 0")

    @property
    def has_mask(self) -> bool:
        """True if the network fills missing regions."""
        return "mask" in self.condition or "mask_pixels" in self.condition

    @property
    def facts(self) -> Facts:
        """The properties of the network that the shared machinery reads."""
        step = self.latent_step * self.denoiser.multiple_of
        return Facts(self.scale, step, 4 if self.has_mask else 3, self.hole_fill)

    @property
    def restores(self) -> bool:
        """True if a low-quality image is all that the network needs; others need label maps or given context."""
        return not self.labels and (not self.denoiser.context_channels or self.context == "image")

    @property
    def latent_step(self) -> int:
        """Pixels of the low-quality image per latent position along one side."""
        return self.autoencoder.factor // self.scale

    @property
    def condition_channels(self) -> int:
        """Number of channels that are concatenated to the noisy latent."""
        latent = self.autoencoder.latent_channels
        pixels = self.autoencoder.factor**2
        widths: dict[Condition, int] = {
            "image": 3,
            "latent": latent,
            "mask": 1,
            "mask_pixels": pixels,
            "labels": latent,
        }
        return sum(widths[name] for name in self.condition)

    def to_dict(self) -> dict[str, Any]:
        """All settings in plain types, ready for JSON."""
        plain: dict[str, Any] = _plain(asdict(self))
        return plain

    @classmethod
    def from_dict(cls, values: dict[str, Any], where: str = "network settings") -> "LatentSettings":
        """Make settings from plain types; ``where`` is the beginning of every error message.

        Raises:
            ConfigError: a key is not a setting, or a value has the wrong type or is out of range.
        """
        return build(cls, values, where)


def _plain(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _plain(item) for key, item in value.items()}
    return list(value) if isinstance(value, tuple) else value
