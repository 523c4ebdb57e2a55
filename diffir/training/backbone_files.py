"""Build the perceptual loss with the weights of its network, or leave it out if there are none.

In: the section ``perceptual``. Out: the loss; or None and one line in the log if no weights were found. The module
``public_files`` decides where they are searched. LPIPS with SqueezeNet needs no file: its weights ship.
"""

import logging

from torch import Tensor, nn

from diffir.config_losses import PerceptualConfig
from diffir.losses.backbones import BackboneName, build_backbone
from diffir.losses.perceptual import PerceptualLoss
from diffir.metrics.lpips import squeezenet_distance
from diffir.public_files import PublicFile, find
from diffir.weights.checkpoint_file import read_checkpoint

logger = logging.getLogger(__name__)

_ADE20K = "ade20k-resnet50dilated-ppm_deepsup/encoder_epoch_20.pth"  # LaMa stores it under this name in torch's folder
SOURCES: dict[BackboneName, PublicFile] = {
    "vgg19": PublicFile(
        "vgg19-dcbb9e9d.pth",
        "hub/checkpoints/vgg19-dcbb9e9d.pth",
        "https://download.pytorch.org/models/vgg19-dcbb9e9d.pth",
        "dcbb9e9dad569fff7a846263a77324fc34978fea2bfb039c012d710e1776ae44",
    ),
    # Its authors publish no checksum, so it is used only if ``perceptual.backbone`` names it.
    "ade20k": PublicFile(_ADE20K, f"ade20k/{_ADE20K}", f"https://sceneparsing.csail.mit.edu/model/pytorch/{_ADE20K}"),
}


class LpipsLoss(nn.Module):
    """The mean LPIPS, with SqueezeNet, of restored images and ground truths (B, 3, H, W) RGB in [0, 1], as a scalar."""

    def __init__(self) -> None:
        super().__init__()
        self.distance = squeezenet_distance()

    def forward(self, restored: Tensor, gt: Tensor) -> Tensor:
        loss: Tensor = self.distance(2 * restored - 1, 2 * gt - 1).mean()
        return loss


def load_perceptual(config: PerceptualConfig) -> PerceptualLoss | LpipsLoss | None:
    """Return the perceptual loss, or None and a line in the log if its weights are not found.

    Raises:
        WeightsError: a file is found, but it is damaged or holds another network.
    """
    if config.network == "lpips":
        return LpipsLoss()
    path, reason = find(SOURCES[config.network], config.backbone, download=config.download)
    if path is None:
        advice = "perceptual.backbone names a file elsewhere"
        advice += ", perceptual.download=true fetches it" if SOURCES[config.network].sha256 else ""
        # Training without this loss is possible, so missing weights do not stop the run.
        logger.warning("perceptual loss skipped, training goes on without it: %s; %s", reason, advice)
        return None
    backbone = build_backbone(config.network, read_checkpoint(path), str(path))
    return PerceptualLoss(backbone, config.layers, config.distance)
