"""Where the weights of the perceptual losses' networks come from.

In: the section ``perceptual``. Out: the loss, or None and one line in the log when the weights are nowhere: training
then goes on without it. Looked for, in this order: the file the options name, $DIFFIR_CACHE (else ~/.cache/diffir),
torch's own cache ($TORCH_HOME, else ~/.cache/torch), and, where ``download`` says so, their home in the net.
"""

import hashlib
import logging
import os
import re
import shutil
import urllib.request
from pathlib import Path
from typing import NamedTuple

import torch

from diffir.config_losses import PerceptualConfig
from diffir.errors import WeightsError
from diffir.files import write_atomically
from diffir.losses.backbones import BackboneName, build_backbone
from diffir.losses.perceptual import PerceptualLoss
from diffir.weights.checkpoint_file import read_checkpoint

logger = logging.getLogger(__name__)

CACHE_VARIABLE = "DIFFIR_CACHE"
DOWNLOAD_TIMEOUT = 60  # seconds without an answer


class Source(NamedTuple):
    """A public file."""

    in_cache: str
    """Its place in our cache folder."""
    in_torch_home: str
    """Where torch or LaMa keep it, below $TORCH_HOME."""
    url: str


_ADE20K = "ade20k-resnet50dilated-ppm_deepsup/encoder_epoch_20.pth"
SOURCES: dict[BackboneName, Source] = {
    "vgg19": Source(
        "vgg19-dcbb9e9d.pth",
        "hub/checkpoints/vgg19-dcbb9e9d.pth",
        "https://download.pytorch.org/models/vgg19-dcbb9e9d.pth",
    ),
    "ade20k": Source(_ADE20K, f"ade20k/{_ADE20K}", f"http://sceneparsing.csail.mit.edu/model/pytorch/{_ADE20K}"),
}


def load_perceptual(config: PerceptualConfig) -> PerceptualLoss | None:
    """The loss, or None and a line in the log when its weights are nowhere.

    Raises:
        WeightsError: a file is there but damaged or another network.
    """
    path, reason = _find(config)
    if path is None:
        logger.warning("perceptual loss skipped, training goes on without it: %s", reason)
        return None
    _check_name(path)
    backbone = build_backbone(config.network, read_checkpoint(path), str(path))
    return PerceptualLoss(backbone, config.layers, config.distance)


def cache_folder() -> Path:
    """Where fetched weights are kept."""
    return Path(os.environ.get(CACHE_VARIABLE) or Path.home() / ".cache" / "diffir")


def _find(config: PerceptualConfig) -> tuple[Path | None, str]:
    """The file, or what to do about its absence."""
    source = SOURCES[config.network]
    if config.backbone is not None:
        path = Path(config.backbone)
        return (path, "") if path.is_file() else (None, f"no file {path}; put {config.network} from {source.url} there")
    kept = cache_folder() / source.in_cache
    for path in (kept, Path(torch.hub.get_dir()).parent / source.in_torch_home):
        if path.is_file():
            return path, ""
    advice = f"put {source.url} at {kept} or set perceptual.backbone"
    if not config.download:
        return None, f"{advice} or perceptual.download=true"
    try:
        _fetch(source.url, kept)
    except OSError as error:
        return None, f"{source.url} could not be fetched ({error}); {advice}"
    return kept, ""


def _fetch(url: str, path: Path) -> None:
    logger.info("fetching %s to %s", url, path)
    with urllib.request.urlopen(url, timeout=DOWNLOAD_TIMEOUT) as answer, write_atomically(path) as file:
        shutil.copyfileobj(answer, file)


def _check_name(path: Path) -> None:
    """torch puts the first digits of a file's sha256 into its name; refuse a file that has others."""
    promised = re.search(r"-([0-9a-f]{8,64})\.", path.name)
    if promised is None:
        return
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while chunk := file.read(1 << 20):
            digest.update(chunk)
    found = digest.hexdigest()
    if not found.startswith(promised[1]):
        raise WeightsError(f"{path} is damaged: its sha256 begins {found[:8]}, not {promised[1]}; fetch it again")
