"""Write a network into a folder in the layout of the library diffusers, which is not imported.

In: a network, or an autoencoder alone. Out: ``unet``, ``vqvae`` or ``vae``, and ``scheduler``, each with the JSON file
of a class of diffusers, the first two with weights; and ``model_index.json`` if diffusers has a pipeline for such a
network. What is written is read again before weights are added, so a network that the layout cannot hold is refused.
"""

import json
from collections.abc import Mapping
from dataclasses import fields, is_dataclass, replace
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save
from torch import Tensor, nn

from diffir.errors import UsageError, WeightsError
from diffir.files import write_atomically
from diffir.systems.latent.autoencoder import Autoencoder
from diffir.systems.latent.diffusers_config import KL, UNET, VQ, autoencoder_config
from diffir.systems.latent.diffusers_folder import PIPELINES, WEIGHTS_NAME, folder_settings
from diffir.systems.latent.diffusers_layout import autoencoder_names, denoiser_names, in_their_layout
from diffir.systems.latent.network import LatentDiffusion
from diffir.systems.latent.settings import AutoencoderSettings, DenoiserSettings, DiffusionSettings, LatentSettings


def write_diffusers_folder(network: nn.Module, folder: Path, dtype: torch.dtype) -> None:
    """Write a ``LatentDiffusion`` or an ``Autoencoder``; its parameters are stored as ``dtype``.

    Raises:
        UsageError: the folder has files, or the layout cannot hold this network; the message names the setting.
        OSError: a file cannot be written.
    """
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise UsageError(f"{folder} exists and is no empty folder: name another one")
    if isinstance(network, Autoencoder):
        _write_json(folder / "config.json", _autoencoder_json(network.settings, None))
        _compare(network.settings, autoencoder_config(folder / "config.json").settings, folder)
        _write_weights(folder, _autoencoder_tensors(network), dtype)
        return
    assert isinstance(network, LatentDiffusion)
    wanted, first = (
        _as_they_say_it(network.settings),
        "vqvae" if network.settings.autoencoder.regulariser == "vq" else "vae",
    )

    # Write the settings, and read them again.
    for name, values in _all_json(network, wanted, first).items():
        _write_json(folder / name, values)
    try:
        found = folder_settings(folder)
    except WeightsError as error:
        _remove(folder)
        raise UsageError(f"the layout of diffusers cannot hold this network: {error}") from error
    _compare(wanted, found, folder)

    # Write the weights.
    _write_weights(folder / first, _autoencoder_tensors(network.autoencoder), dtype)
    names, heads = denoiser_names(wanted.denoiser), wanted.denoiser.num_heads
    _write_weights(folder / "unet", in_their_layout(network.denoiser.state_dict(), names, num_heads=heads), dtype)


def _as_they_say_it(settings: LatentSettings) -> LatentSettings:
    """The same network with the width of attention heads instead of their number, and the usual steps of sampling."""
    unet = settings.denoiser
    if unet.heads > 1:  # diffusers has one width for all levels
        levels = [m for level, m in enumerate(unet.multipliers) if 2**level in unet.attention_factors]
        heads = {unet.channels * multiplier // unet.heads for multiplier in (*levels, unet.multipliers[-1])}
        if len(heads) == 1:
            unet = replace(unet, heads=0, head_channels=heads.pop())
    elif unet.heads:
        unet = replace(unet, head_channels=0)
    usual = DiffusionSettings()
    diffusion = replace(settings.diffusion, steps=usual.steps, temperature=usual.temperature)
    return replace(settings, denoiser=unet, diffusion=diffusion)


def _all_json(network: LatentDiffusion, settings: LatentSettings, first: str) -> dict[str, dict[str, Any]]:
    scale = network.latent_scale
    if (scale != scale[0]).any():
        raise UsageError("the layout of diffusers has one scale of latents, and this network has one for each channel")
    if first == "vqvae" and scale[0] != 1:
        raise UsageError(
            f"pipelines of diffusers do not scale the latents of a VQModel, and this network does ({scale[0]:.4g})"
        )
    latent = settings.autoencoder.latent_channels
    found = {
        f"{first}/config.json": _autoencoder_json(settings.autoencoder, scale[0].item()),
        "unet/config.json": _unet_json(settings.denoiser, latent + settings.condition_channels, latent),
        "scheduler/scheduler_config.json": _scheduler_json(settings.diffusion),
    }
    pipeline = next((name for name, condition in PIPELINES.items() if condition == settings.condition), None)
    if pipeline:
        parts = {first: VQ if first == "vqvae" else KL, "unet": UNET, "scheduler": "DDIMScheduler"}
        found["model_index.json"] = {
            "_class_name": pipeline,
            **{part: ["diffusers", name] for part, name in parts.items()},
        }
    return found


def _autoencoder_json(settings: AutoencoderSettings, scale: float | None) -> dict[str, Any]:
    has_codes = settings.regulariser == "vq"
    attends = [2**level in settings.attention_factors for level in range(len(settings.multipliers))]
    values: dict[str, Any] = {
        "_class_name": VQ if has_codes else KL,
        "in_channels": 3,
        "out_channels": 3,
        "block_out_channels": [settings.channels * multiplier for multiplier in settings.multipliers],
        "layers_per_block": settings.num_blocks,
        "latent_channels": settings.z_channels,
        "down_block_types": [f"{'Attn' * attending}DownEncoderBlock2D" for attending in attends],
        "up_block_types": [f"{'Attn' * attending}UpDecoderBlock2D" for attending in reversed(attends)],
        "act_fn": "silu",
        "norm_num_groups": 32,
        "mid_block_add_attention": settings.mid_attention,
    }
    if has_codes:
        values |= {"num_vq_embeddings": settings.codes, "vq_embed_dim": settings.latent_channels}
    return values if scale is None else values | {"scaling_factor": scale}


def _unet_json(settings: DenoiserSettings, in_channels: int, out_channels: int) -> dict[str, Any]:
    levels = range(len(settings.multipliers))
    attends = [2**level in settings.attention_factors for level in levels]
    plain = (
        ("ResnetDownsampleBlock2D", "ResnetUpsampleBlock2D") if settings.updown_blocks else ("DownBlock2D", "UpBlock2D")
    )
    resizing = "resnet" if settings.updown_blocks else "conv"
    return {
        "_class_name": UNET,
        "in_channels": in_channels,
        "out_channels": out_channels,
        "block_out_channels": [settings.channels * multiplier for multiplier in settings.multipliers],
        "layers_per_block": settings.num_blocks,
        "down_block_types": ["AttnDownBlock2D" if attending else plain[0] for attending in attends],
        "up_block_types": ["AttnUpBlock2D" if attending else plain[1] for attending in reversed(attends)],
        "attention_head_dim": settings.head_channels or None,
        "downsample_type": resizing,
        "upsample_type": resizing,
        "resnet_time_scale_shift": "scale_shift" if settings.scale_shift else "default",
        "act_fn": "silu",
        "norm_num_groups": 32,
        "attn_norm_num_groups": 32,  # with scale_shift, diffusers leaves out the norm in the middle otherwise
        "norm_eps": 1e-5,
        "flip_sin_to_cos": True,
        "freq_shift": 0,
    }


def _scheduler_json(settings: DiffusionSettings) -> dict[str, Any]:
    return {
        "_class_name": "DDIMScheduler",
        "num_train_timesteps": settings.timesteps,
        "beta_start": settings.linear_start,
        "beta_end": settings.linear_end,
        "beta_schedule": "scaled_linear",
        "prediction_type": "v_prediction" if settings.prediction == "v" else "epsilon",
        "clip_sample": False,
        "set_alpha_to_one": False,
        "steps_offset": 1,
    }


def _compare(wanted: object, found: object, folder: Path) -> None:
    """Remove the folder and raise UsageError if settings that were written read otherwise."""
    difference = _difference(wanted, found, "")
    if difference:
        _remove(folder)
        raise UsageError(f"the layout of diffusers cannot hold this network: {difference}")


def _difference(wanted: object, found: object, where: str) -> str:
    if not is_dataclass(wanted):
        return "" if wanted == found else f"{where[1:]} {wanted} would become {found}"
    pairs = ((field.name, getattr(wanted, field.name), getattr(found, field.name)) for field in fields(wanted))
    return next(filter(None, (_difference(ours, theirs, f"{where}.{name}") for name, ours, theirs in pairs)), "")


def _autoencoder_tensors(autoencoder: Autoencoder) -> dict[str, Tensor]:
    names = autoencoder_names(len(autoencoder.settings.multipliers))
    return in_their_layout(autoencoder.state_dict(), names)


def _write_weights(folder: Path, tensors: Mapping[str, Tensor], dtype: torch.dtype) -> None:
    with write_atomically(folder / f"{WEIGHTS_NAME}.safetensors") as file:
        file.write(save({name: tensor.to(dtype) for name, tensor in tensors.items()}, {"format": "pt"}))


def _write_json(path: Path, values: dict[str, Any]) -> None:
    with write_atomically(path) as file:
        file.write(json.dumps(values, indent=2).encode())


def _remove(folder: Path) -> None:
    """Remove the settings that were written into a new folder."""
    for path in sorted(folder.rglob("*"), reverse=True):
        path.unlink() if path.is_file() else path.rmdir()
    folder.rmdir()
