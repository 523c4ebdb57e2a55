"""Reference figures of the released implementation: configurations, filled networks and arrays of each case."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from diffir.systems.latent.autoencoder import Autoencoder
from diffir.systems.latent.schedule import Schedule
from diffir.systems.latent.settings import AutoencoderSettings, DenoiserSettings, DiffusionSettings
from diffir.systems.latent.unet import UNet

AUTOENCODERS = ("vq_f4", "vq_f4_noattn", "vq_f8", "kl_f4", "kl_f8")
DENOISERS = ("unet_sr", "unet_inpaint", "unet_semantic", "unet_cross")


@dataclass(frozen=True)
class Case:
    """One case: its configuration, its arrays by name, and the keys of its state dict with their shapes."""

    name: str
    config: dict[str, Any]
    arrays: dict[str, np.ndarray]
    keys: dict[str, list[int]]
    dtype: torch.dtype

    def __getitem__(self, array: str) -> Tensor:
        return torch.from_numpy(self.arrays[array]).to(self.dtype)

    def optional(self, array: str) -> Tensor | None:
        return self[array] if array in self.arrays else None


def read_case(shared: Path, name: str, dtype: torch.dtype) -> Case:
    folder = shared / "reference/ldm"
    config = json.loads((folder / "golden.json").read_text("utf-8"))[name]
    keys = json.loads((folder / "golden_keys.json").read_text("utf-8"))[name]
    with np.load(folder / "golden.npz") as file:
        arrays = {key.removeprefix(f"{name}/"): file[key] for key in file if key.startswith(f"{name}/")}
    return Case(name, config, arrays, keys, dtype)


def filled(network: nn.Module, case: Case) -> nn.Module:
    """Fill a network by the rule of the reference figures; its keys and shapes must be those of the case."""
    assert {key: list(tensor.shape) for key, tensor in network.state_dict().items()} == case.keys
    state = {}
    for place, key in enumerate(sorted(case.keys)):
        shape = case.keys[key]
        drawn = np.random.RandomState(case.config["weights_base"] + place).standard_normal(shape)
        if key.endswith("embedding.weight"):
            drawn = 0.5 * drawn
        elif len(shape) == 1:
            drawn = (1 if key.endswith("weight") else 0) + 0.1 * drawn
        else:
            drawn = drawn / np.sqrt(np.prod(shape[1:]))
        state[key] = torch.from_numpy(drawn)
    network.load_state_dict(state)
    return network.to(case.dtype)


def autoencoder_of(case: Case) -> Autoencoder:
    config = case.config["ddconfig"]
    settings = AutoencoderSettings(
        regulariser="kl" if config["double_z"] else "vq",
        channels=config["ch"],
        multipliers=tuple(config["ch_mult"]),
        num_blocks=config["num_res_blocks"],
        z_channels=config["z_channels"],
        latent_channels=case.config["embed_dim"],
        codes=case.config.get("n_embed", 1),
        attention_factors=tuple(config["resolution"] // side for side in config["attn_resolutions"]),
        mid_attention=config.get("attn_type") != "none",
    )
    return filled(Autoencoder(settings), case)  # type: ignore[return-value]


def denoiser_of(case: Case) -> UNet:
    config = case.config["unet_config"]
    settings = DenoiserSettings(
        channels=config["model_channels"],
        multipliers=tuple(config["channel_mult"]),
        num_blocks=config["num_res_blocks"],
        attention_factors=tuple(config["attention_resolutions"]),
        heads=config.get("num_heads", 0),
        head_channels=config.get("num_head_channels", 0),
        updown_blocks=config.get("resblock_updown", False),
        context_channels=config.get("context_dim", 0),
    )
    return filled(UNet(settings, config["in_channels"], config["out_channels"]), case)  # type: ignore[return-value]


def schedule_of(case: Case) -> Schedule:
    return Schedule(DiffusionSettings(linear_start=case.config["linear_start"], linear_end=case.config["linear_end"]))
