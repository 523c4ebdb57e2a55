"""Small latent diffusion networks with random weights, written in the layouts of the released files."""

import json
from dataclasses import replace
from functools import cache
from pathlib import Path

import torch
from safetensors.torch import save_file
from torch import Tensor

from diffir.systems.latent.diffusers_layout import autoencoder_names, denoiser_names, in_their_layout
from diffir.systems.latent.network import LatentDiffusion
from diffir.systems.latent.rows import ROWS, Row
from diffir.systems.latent.settings import AutoencoderSettings, DenoiserSettings, DiffusionSettings, LatentSettings

SMALL = LatentSettings(
    AutoencoderSettings("vq", 32, (1, 2), 1, 3, 3, codes=16),
    DenoiserSettings(32, (1, 2), 1, (2,), head_channels=16),
    DiffusionSettings(linear_end=0.0205),
    ("image",),
    scale=2,
)
HOLES = replace(
    SMALL,
    condition=("latent", "mask"),
    scale=1,
    denoiser=replace(SMALL.denoiser, heads=4, updown_blocks=True),
    autoencoder=replace(SMALL.autoencoder, mid_attention=False),
)
LABELS = replace(SMALL, condition=("labels",), scale=1, labels=5)
KL = replace(
    SMALL,
    autoencoder=AutoencoderSettings("kl", 32, (1, 2), 1, 4, 4, attention_factors=(2,)),
    condition=("latent",),
    scale=1,
)
SMALL_ROWS = {"small_sr": SMALL, "small_holes": HOLES, "small_labels": LABELS}


def rows_with_small_networks() -> dict[str, Row]:
    """The table with rows for the small networks, whose Lightning files could not be understood otherwise."""
    return ROWS | {name: Row(name, "for tests", settings) for name, settings in SMALL_ROWS.items()}


@cache
def random_network(settings: LatentSettings) -> LatentDiffusion:
    """A network in which no layer is zero, so that every tensor changes the result; tests do not change it."""
    generator = torch.Generator().manual_seed(0)
    network = LatentDiffusion(settings).eval().requires_grad_(False)
    for parameter in network.parameters():
        spread = 0.1 if parameter.ndim < 2 else (2 / max(1, parameter[0].numel())) ** 0.5
        noise = spread * torch.randn(parameter.shape, generator=generator)
        parameter.copy_(noise if parameter.ndim > 1 else parameter + noise)
    return network


def lightning_state(network: LatentDiffusion, *, with_average: bool = True) -> dict[str, Tensor]:
    """The state dict that the released code would write; with an average, the raw weights are other numbers."""
    denoiser = {f"diffusion_model.{name}": t for name, t in network.denoiser.state_dict().items()}
    autoencoder = network.autoencoder.state_dict()
    schedule = network.schedule
    alphas = torch.tensor(schedule.alphas, dtype=torch.float64)
    state = {f"model.{name}": t + 0.5 if with_average else t for name, t in denoiser.items()}
    if with_average:
        state |= {f"model_ema.{name.replace('.', '')}": t for name, t in denoiser.items()}
        state |= {"model_ema.decay": torch.tensor(0.9999), "model_ema.num_updates": torch.tensor(7)}
    state |= {f"first_stage_model.{name}": t for name, t in autoencoder.items()}
    state |= {"first_stage_model.loss.discriminator.main.0.weight": torch.ones(2), "logvar": torch.zeros(1000)}
    state |= {"betas": torch.tensor(schedule.betas).float(), "alphas_cumprod": alphas.float()}
    state |= {"sqrt_one_minus_alphas_cumprod": (1 - alphas).sqrt().float(), "posterior_variance": torch.ones(1000)}
    if network.settings.labels:
        state["cond_stage_model.channel_mapper.weight"] = network.labels.channel_mapper.weight
    elif network.settings.has_mask:
        state |= {f"cond_stage_model.{name}": t for name, t in autoencoder.items()}
    return state


def zero_stride(shapes: dict[str, list[int]]) -> dict[str, Tensor]:
    """Tensors of any shape that need no memory."""
    return {name: torch.zeros(()).expand(shape) for name, shape in shapes.items()}


def write_diffusers_folder(folder: Path, network: LatentDiffusion, *, suffix: str = ".safetensors") -> Path:
    """Write a network as its folder in diffusers' layout, with the keys that files of early versions have."""
    settings, unet = network.settings, network.settings.denoiser
    first = settings.autoencoder
    has_codes = first.regulariser == "vq"
    autoencoder_config = {
        "_class_name": "VQModel" if has_codes else "AutoencoderKL",
        "in_channels": 3,
        "block_out_channels": [first.channels * multiplier for multiplier in first.multipliers],
        "layers_per_block": first.num_blocks,
        "latent_channels": first.z_channels,
        "down_block_types": [
            "AttnDownEncoderBlock2D" if 2**level in first.attention_factors else "DownEncoderBlock2D"
            for level in range(len(first.multipliers))
        ],
        "mid_block_add_attention": first.mid_attention,
        "sample_size": 256,
    }
    autoencoder_config |= {"num_vq_embeddings": first.codes} if has_codes else {"scaling_factor": 0.25}
    plain = "ResnetDownsampleBlock2D" if unet.updown_blocks else "DownBlock2D"
    unet_config = {
        "_class_name": "UNet2DModel",
        "in_channels": first.latent_channels + settings.condition_channels,
        "out_channels": first.latent_channels,
        "block_out_channels": [unet.channels * multiplier for multiplier in unet.multipliers],
        "layers_per_block": unet.num_blocks,
        "down_block_types": [
            "AttnDownBlock2D" if 2**level in unet.attention_factors else plain for level in range(len(unet.multipliers))
        ],
        "attention_head_dim": unet.head_channels,
        "downsample_type": "resnet" if unet.updown_blocks else "conv",
        "freq_shift": 0,
    }
    diffusion = settings.diffusion
    scheduler_config = {
        "beta_start": diffusion.linear_start,
        "beta_end": diffusion.linear_end,
        "beta_schedule": "scaled_linear",
        "trained_betas": None,
    }
    parts = {
        "vqvae" if has_codes else "vae": (
            autoencoder_config,
            in_their_layout(network.autoencoder.state_dict(), autoencoder_names(len(first.multipliers))),
        ),
        "unet": (
            unet_config,
            in_their_layout(network.denoiser.state_dict(), denoiser_names(unet), num_heads=unet.num_heads),
        ),
    }
    for name, (config, state) in parts.items():
        (folder / name).mkdir(parents=True)
        (folder / name / "config.json").write_text(json.dumps(config), "utf-8")
        target = folder / name / f"diffusion_pytorch_model{suffix}"
        save_file(state, target) if suffix == ".safetensors" else torch.save(state, target)
    (folder / "scheduler").mkdir()
    (folder / "scheduler/scheduler_config.json").write_text(json.dumps(scheduler_config), "utf-8")
    if settings.condition == ("image",):
        (folder / "model_index.json").write_text('{"_class_name": "LDMSuperResolutionPipeline"}', "utf-8")
    return folder
