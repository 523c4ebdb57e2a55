"""Build the discriminator: with random weights, from a released file, or from a training state of diffir.

In: the section ``gan``. Out: the network, in training mode. The tensor names of released files are translated; these
are ``net_d_*.pth`` of the adversarial stage, and the tensors of the inpainting discriminator.
"""

import re
from collections.abc import Mapping
from pathlib import Path

from torch import Tensor, nn

from diffir.config_losses import GanConfig
from diffir.errors import TrainingError, WeightsError
from diffir.losses.discriminators import build_discriminator
from diffir.training.checkpoint import read_state
from diffir.weights.checkpoint_file import read_checkpoint

# Names of the U-Net's layers in diffir, by the number of their convolution in released files.
_UNET_PLACES = ("first", "down.0", "down.1", "down.2", "up.0", "up.1", "up.2", "refine.0", "refine.1", "last")


def load_discriminator(config: GanConfig) -> nn.Module:
    """Build the discriminator of the options, and load its weights if the options name a file.

    Raises:
        UsageError: the file is missing.
        WeightsError: the file is damaged, or holds another network.
    """
    network = build_discriminator(config.network, config.num_feat)
    if config.pretrain_network_d is None:
        return network
    state = translate_discriminator_keys(_read(Path(config.pretrain_network_d)))
    try:
        network.load_state_dict(state)
    except RuntimeError as error:
        raise WeightsError(
            f"{config.pretrain_network_d} is not a discriminator {config.network} of {config.num_feat} features; set "
            "gan.network and gan.num_feat to those of the file"
        ) from error
    return network


def translate_discriminator_keys(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Rename the tensors of a released discriminator to diffir's names; diffir's own names stay."""
    return {_translated(name): tensor for name, tensor in state.items()}


def _read(path: Path) -> dict[str, Tensor]:
    if path.suffix != ".state" or not path.is_file():
        return read_checkpoint(path)
    try:
        return read_state(path).get("params_d", {})
    except TrainingError as error:
        raise WeightsError(f"{error}: set gan.pretrain_network_d to another state or a net_d file") from error


def _translated(name: str) -> str:
    # The patch discriminator: model0.0.weight -> layers.0.0.weight.
    of_patch = re.fullmatch(r"model(\d)\.(.+)", name)
    if of_patch:
        return f"layers.{of_patch[1]}.{of_patch[2]}"
    # The U-Net discriminator; spectral normalisation stores the weight of conv1 as conv1.weight_orig.
    of_unet = re.fullmatch(r"conv(\d)\.(?:weight_)?(?:orig|(.+))", name)
    return f"{_UNET_PLACES[int(of_unet[1])]}.{of_unet[2] or 'weight'}" if of_unet else name
