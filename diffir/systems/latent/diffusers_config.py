"""Read the settings in the JSON files of the library diffusers, which is not imported.

In: the path of a config.json of ``UNet2DModel``, ``VQModel`` or ``AutoencoderKL``, or of a scheduler_config.json. Out:
our settings. Keys that ask for what our networks do not do are one line that names file, key and value.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any, Literal, NamedTuple, TypeVar

from diffir.errors import ConfigError, WeightsError
from diffir.systems.latent.settings import AutoencoderSettings, DenoiserSettings, DiffusionSettings
from diffir.typed_mapping import build

T = TypeVar("T")
LARGEST = 1_000_000  # bytes; files of diffusers have about a thousand
UNET, VQ, KL = "UNet2DModel", "VQModel", "AutoencoderKL"
PLAIN, RESIZING = "DownBlock2D", "ResnetDownsampleBlock2D"  # levels without attention


class UNetConfig(NamedTuple):
    """What the configuration of a UNet2DModel says."""

    settings: DenoiserSettings
    in_channels: int
    out_channels: int


class AutoencoderConfig(NamedTuple):
    """What the configuration of a VQModel or AutoencoderKL says."""

    settings: AutoencoderSettings
    scale: float
    """The factor by which latents are multiplied before diffusion."""


@dataclass(frozen=True)
class _UNetKeys:
    """The keys of a UNet2DModel that decide the network."""

    in_channels: int
    out_channels: int
    block_out_channels: tuple[int, ...]
    layers_per_block: int
    down_block_types: tuple[str, ...]
    attention_head_dim: int | None = 8
    downsample_type: Literal["conv", "resnet"] = "conv"
    resnet_time_scale_shift: Literal["default", "scale_shift"] = "default"


@dataclass(frozen=True)
class _AutoencoderKeys:
    """The keys of a VQModel or AutoencoderKL that decide the network."""

    block_out_channels: tuple[int, ...]
    layers_per_block: int
    latent_channels: int
    down_block_types: tuple[str, ...]
    vq_embed_dim: int | None = None
    num_vq_embeddings: int = 256
    mid_block_add_attention: bool = True
    scaling_factor: float = 0.18215


@dataclass(frozen=True)
class _SchedulerKeys:
    """The keys of a scheduler that decide the noise schedule."""

    beta_start: float
    beta_end: float
    num_train_timesteps: int = 1000
    prediction_type: Literal["epsilon", "v_prediction"] = "epsilon"


# Keys for which our networks have one value, with the spellings of that value. It is also the default of diffusers,
# except for the kinds of schedule and of classes.
_UNET_FIXED: dict[str, tuple[Any, ...]] = {
    "_class_name": (UNET,),
    "act_fn": ("silu", "swish"),
    "norm_num_groups": (32,),
    "attn_norm_num_groups": (None, 32),
    "norm_eps": (1e-5,),
    "flip_sin_to_cos": (True,),
    "freq_shift": (0,),
    "center_input_sample": (False,),
    "time_embedding_type": ("positional",),
    "mid_block_scale_factor": (1,),
    "downsample_padding": (1,),
    "add_attention": (True,),
    "class_embed_type": (None,),
    "num_class_embeds": (None,),
}
_AUTOENCODER_FIXED: dict[str, tuple[Any, ...]] = {
    "_class_name": (VQ, KL),
    "act_fn": ("silu", "swish"),
    "norm_num_groups": (32,),
    "norm_type": ("group",),
    "in_channels": (3,),
    "out_channels": (3,),
    "lookup_from_codebook": (False,),
    "use_quant_conv": (True,),
    "use_post_quant_conv": (True,),
    "shift_factor": (None, 0),
    "latents_mean": (None,),
    "latents_std": (None,),
}
_SCHEDULER_FIXED: dict[str, tuple[Any, ...]] = {
    "beta_schedule": ("scaled_linear",),
    "trained_betas": (None,),
    "rescale_betas_zero_snr": (False,),
}
_NO_DEFAULT = ("_class_name", "beta_schedule")  # keys that a file must have, since diffusers means another value


def unet_config(path: Path) -> UNetConfig:
    """Read the configuration of a UNet2DModel; raises WeightsError if it is missing or of another network."""
    keys = _read_keys(_UNetKeys, path, _UNET_FIXED)
    width = keys.attention_head_dim
    try:
        settings = DenoiserSettings(
            **_levels(keys.block_out_channels),
            num_blocks=keys.layers_per_block,
            attention_factors=_attending(keys.down_block_types, (PLAIN, RESIZING), "AttnDownBlock2D"),
            heads=1 if width is None else 0,
            head_channels=width or 0,
            updown_blocks=_resizes_in_blocks(keys),
            scale_shift=keys.resnet_time_scale_shift == "scale_shift",
        )
    except ConfigError as error:
        raise WeightsError(f"{path}: {error}") from error
    return UNetConfig(settings, keys.in_channels, keys.out_channels)


def autoencoder_config(path: Path) -> AutoencoderConfig:
    """Read the configuration of a VQModel or AutoencoderKL; raises WeightsError if it is missing or of another kind."""
    keys = _read_keys(_AutoencoderKeys, path, _AUTOENCODER_FIXED)
    has_codes = read_json(path)["_class_name"] == VQ
    try:
        settings = AutoencoderSettings(
            regulariser="vq" if has_codes else "kl",
            **_levels(keys.block_out_channels),
            num_blocks=keys.layers_per_block,
            z_channels=keys.latent_channels,
            latent_channels=(keys.vq_embed_dim if has_codes else None) or keys.latent_channels,
            codes=keys.num_vq_embeddings if has_codes else AutoencoderSettings().codes,
            attention_factors=_attending(keys.down_block_types, ("DownEncoderBlock2D",), "AttnDownEncoderBlock2D"),
            mid_attention=keys.mid_block_add_attention,
        )
    except ConfigError as error:
        raise WeightsError(f"{path}: {error}") from error
    # diffusers writes a factor for VQModel, too, but its pipelines do not use it.
    scale = 1.0 if has_codes else keys.scaling_factor
    if not 0 < scale < float("inf"):
        raise WeightsError(f"{path}: scaling_factor must be a positive number, got {scale}")
    return AutoencoderConfig(settings, scale)


def scheduler_config(path: Path) -> DiffusionSettings:
    """Read the configuration of a scheduler; raises WeightsError if it is missing or of another schedule than ours."""
    keys = _read_keys(_SchedulerKeys, path, _SCHEDULER_FIXED)
    prediction: Literal["eps", "v"] = "v" if keys.prediction_type == "v_prediction" else "eps"
    try:
        return DiffusionSettings(keys.num_train_timesteps, keys.beta_start, keys.beta_end, prediction)
    except ConfigError as error:
        raise WeightsError(f"{path}: {error}") from error


def read_json(path: Path) -> dict[str, Any]:
    """Read a JSON object.

    Raises:
        WeightsError: there is no such file, or it is larger than any of its kind, or it is no JSON object.
    """
    if not path.is_file():
        raise WeightsError(f"{path} is missing: copy or download the whole folder")
    with path.open("rb") as file:
        content = file.read(LARGEST + 1)
    if len(content) > LARGEST:
        raise WeightsError(f"{path} is larger than {LARGEST:,} bytes, which no file of settings is")
    try:
        values = json.loads(content)
    except (ValueError, RecursionError) as error:
        raise WeightsError(f"{path} is not JSON ({error}): copy or download it again") from error
    if not isinstance(values, dict):
        raise WeightsError(f"{path} is not a JSON object of keys and values, as diffusers writes it")
    return values


def _read_keys(cls: type[T], path: Path, fixed: Mapping[str, tuple[Any, ...]]) -> T:
    """Read the keys of a dataclass from a JSON file, after checking those for which there is one value."""
    values = read_json(path)
    for key, allowed in fixed.items():
        if key not in values and key not in _NO_DEFAULT:
            continue
        if key not in values or values[key] not in allowed:
            found = json.dumps(values[key])[:80] if key in values else "missing"
            known = " or ".join(json.dumps(value) for value in allowed)
            raise WeightsError(f"{path}: {key} is {found}, and diffir's network is for {known}")
    wanted = {field.name for field in fields(cls)}  # type: ignore[arg-type]
    try:
        return build(cls, {key: value for key, value in values.items() if key in wanted}, str(path))
    except ConfigError as error:
        raise WeightsError(str(error)) from error


def _levels(widths: tuple[int, ...]) -> dict[str, Any]:
    """Channels and multipliers of levels with these widths."""
    if not widths or min(widths) < 1 or any(width % widths[0] for width in widths):
        raise ConfigError(f"block_out_channels must be multiples of the first, got {list(widths)}")
    return {"channels": widths[0], "multipliers": tuple(width // widths[0] for width in widths)}


def _attending(types: tuple[str, ...], plain: tuple[str, ...], attending: str) -> tuple[int, ...]:
    """Downsampling factors of the levels whose blocks have attention."""
    other = next((name for name in types if name not in (*plain, attending)), None)
    if other is not None:
        raise ConfigError(f"down_block_types: {other[:80]!r} is not known; known: {', '.join((*plain, attending))}")
    return tuple(2**level for level, name in enumerate(types) if name == attending)


def _resizes_in_blocks(keys: _UNetKeys) -> bool:
    """True if the resolution changes in residual blocks, False if it changes in single convolutions."""
    own = {PLAIN: "conv", RESIZING: "resnet"}  # levels with attention have the kind of downsample_type
    kinds = {own.get(name, keys.downsample_type) for name in keys.down_block_types[:-1]}
    if len(kinds) > 1:
        raise ConfigError("down_block_types: some levels shrink by convolutions and some by residual blocks")
    return kinds == {"resnet"}
