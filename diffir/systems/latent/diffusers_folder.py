"""Read folders in the layout of the library diffusers, which is not imported.

In: a folder with ``unet``, ``vqvae`` or ``vae``, and ``scheduler``, each with a JSON file, the first two with a
.safetensors or .bin file; or a folder of an autoencoder alone. Out: part, settings and the tensors under our names. No
name of a file is read from a file, so nothing but these folders is opened.
"""

from pathlib import Path
from typing import NamedTuple

import torch
from torch import Tensor

from diffir.errors import ConfigError, WeightsError
from diffir.system import Released
from diffir.systems.latent.autoencoder import Autoencoder
from diffir.systems.latent.diffusers_config import (
    KL,
    UNET,
    VQ,
    AutoencoderConfig,
    UNetConfig,
    autoencoder_config,
    read_json,
    scheduler_config,
    unet_config,
)
from diffir.systems.latent.diffusers_layout import autoencoder_names, denoiser_names, translated
from diffir.systems.latent.released import released_autoencoder, released_network
from diffir.systems.latent.settings import Condition, LatentSettings
from diffir.systems.latent.settings_from_shapes import Structure
from diffir.systems.latent.unet import UNet
from diffir.weights.checkpoint_file import read_checkpoint

AUTOENCODER_FOLDERS = ("vqvae", "vae")
WEIGHTS_NAME = "diffusion_pytorch_model"
_SUFFIXES = (".safetensors", ".bin")
PIPELINES: dict[object, tuple[Condition, ...]] = {"LDMSuperResolutionPipeline": ("image",)}


def read_diffusers_folder(folder: Path) -> Released | None:
    """Read a whole network or an autoencoder; None if the folder has another layout.

    Raises:
        WeightsError: a file is missing or damaged, or describes a network that diffir does not have.
        OSError: a file cannot be read.
    """
    first_stage = next((folder / name for name in AUTOENCODER_FOLDERS if (folder / name).is_dir()), None)
    if (folder / "unet").is_dir():
        if first_stage is None:
            raise WeightsError(f"{folder} has a folder unet, but neither vqvae nor vae: copy or download all of it")
        return _read_whole(folder, first_stage)
    if first_stage is None and (folder / "config.json").is_file():
        kind = read_json(folder / "config.json").get("_class_name")
        if kind == UNET:
            raise WeightsError(f"{folder} is a part of a network: give the folder that holds unet, vqvae and scheduler")
        first_stage = folder if kind in (VQ, KL) else None
    if first_stage is None:
        return None
    config = autoencoder_config(first_stage / "config.json")
    return released_autoencoder(config.settings, _autoencoder_tensors(first_stage, config))


class _Configs(NamedTuple):
    """What the JSON files of a whole network say."""

    settings: LatentSettings
    unet: UNetConfig
    autoencoder: AutoencoderConfig


def folder_settings(folder: Path) -> LatentSettings:
    """The settings of the whole network that the JSON files of a folder describe; its weights are not read.

    Raises:
        WeightsError: a file is missing or damaged, or describes a network that diffir does not have.
    """
    return _read_configs(
        folder, next(folder / name for name in AUTOENCODER_FOLDERS if (folder / name).is_dir())
    ).settings


def _read_configs(folder: Path, first_stage: Path) -> _Configs:
    unet, first = unet_config(folder / "unet/config.json"), autoencoder_config(first_stage / "config.json")
    latent = first.settings.latent_channels
    if unet.out_channels != latent:
        raise WeightsError(
            f"{folder / 'unet/config.json'}: out_channels is {unet.out_channels}, but the latent of {first_stage.name} "
            f"has {latent} channels"
        )
    condition = _condition(folder, Structure(first.settings, unet.settings, unet.in_channels - latent))
    diffusion = scheduler_config(_scheduler_file(folder / "scheduler"))
    scale = first.settings.factor if condition == ("image",) else 1
    try:
        settings = LatentSettings(first.settings, unet.settings, diffusion, condition, scale=scale)
    except ConfigError as error:
        raise WeightsError(f"{folder} holds no network that diffir can build: {error}") from error
    return _Configs(settings, unet, first)


def _read_whole(folder: Path, first_stage: Path) -> Released:
    settings, unet, first = _read_configs(folder, first_stage)
    latent = first.settings.latent_channels

    # Translate the tensors of each network.
    with torch.device("meta"):
        expected = UNet(unet.settings, unet.in_channels, unet.out_channels).state_dict()
    weights, heads = _weights_file(folder / "unet"), unet.settings.num_heads
    names = denoiser_names(unet.settings)
    denoiser = translated(expected, names, read_checkpoint(weights), str(weights), num_heads=heads)
    ours = {f"denoiser.{name}": tensor for name, tensor in denoiser.items()}
    ours |= {f"autoencoder.{name}": tensor for name, tensor in _autoencoder_tensors(first_stage, first).items()}
    ours["latent_scale"] = torch.full((latent,), first.scale)
    return released_network(settings, ours)


def _autoencoder_tensors(folder: Path, config: AutoencoderConfig) -> dict[str, Tensor]:
    with torch.device("meta"):
        expected = Autoencoder(config.settings).state_dict()
    weights = _weights_file(folder)
    names = autoencoder_names(len(config.settings.multipliers))
    return translated(expected, names, read_checkpoint(weights), str(weights))


def _condition(folder: Path, structure: Structure) -> tuple[Condition, ...]:
    """What the denoiser reads beside the noisy latent.

    Raises:
        WeightsError: nothing tells what its further channels are.
    """
    # The name of the pipeline, or the row of the table, tells; otherwise the number of channels if it has one meaning.
    index = folder / "model_index.json"
    pipeline = read_json(index).get("_class_name") if index.is_file() else None
    row = structure.row(knows_heads=True)
    if isinstance(pipeline, str) and pipeline in PIPELINES:
        return PIPELINES[pipeline]
    if row is not None:
        return row.settings.condition
    latent, extra = structure.autoencoder.latent_channels, structure.condition_channels
    meanings: dict[tuple[Condition, ...], int] = {("image",): 3, ("latent",): latent, ("latent", "mask"): latent + 1}
    fitting = [condition for condition, channels in meanings.items() if channels == extra]
    if len(fitting) != 1:
        raise WeightsError(
            f"{folder}: nothing tells what the {extra} channels are that unet reads beside the latent; if they are the "
            f'low-quality image, write {{"_class_name": "{next(iter(PIPELINES))}"}} into {index.name}'
        )
    return fitting[0]


def _scheduler_file(folder: Path) -> Path:
    usual, other = folder / "scheduler_config.json", folder / "config.json"
    return usual if usual.is_file() or not other.is_file() else other


def _weights_file(folder: Path) -> Path:
    """The file of weights in a folder: the one with the usual name, or the only one, .safetensors first.

    Raises:
        WeightsError: there is none, or there are several and none has the usual name.
    """
    for suffix in _SUFFIXES:
        usual = folder / f"{WEIGHTS_NAME}{suffix}"
        if usual.is_file():
            return usual
        found = sorted(path for path in folder.glob(f"*{suffix}") if path.is_file())
        if len(found) == 1:
            return found[0]
        if found:
            raise WeightsError(f"{folder} holds several files of weights: name one {usual.name} ({found[0].name}, ...)")
    raise WeightsError(f"{folder / WEIGHTS_NAME}{_SUFFIXES[0]} is missing (or .bin): copy or download the whole folder")
