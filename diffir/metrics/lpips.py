"""LPIPS: distance of two images in the features of a network, with weights learned from human judgements.

In: RGB images h x w x 3 on the 8-bit scale, compared in [-1, 1] as the authors do. Out: one number, 0 for equal images.
The weights of SqueezeNet ship with the package; AlexNet and VGG16 need public files. Source: Zhang et al., "The
unreasonable effectiveness of deep features as a perceptual metric", CVPR 2018, eq. 1; linear layers of version 0.1.
"""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

from diffir.metrics import features
from diffir.metrics.metric import Paths, Score
from diffir.metrics.weight_files import SHIPPED, fill, read_shipped, read_tensors, take

SHIFT = (-0.030, -0.088, -0.188)  # ImageNet's statistics for images in [-1, 1], as the authors round them
SCALE = (0.458, 0.448, 0.450)
EPSILON = 1e-10  # the authors' value; avoids division by zero in maps of zeros

ALEXNET_WIDTHS = (64, 192, 384, 256, 256)
VGG16_WIDTHS = tuple(level[-1] for level in features.VGG16_LEVELS)


class PerceptualDistance(nn.Module):
    """LPIPS with one frozen network, for images as tensors; its gradient reaches both images.

    Args:
        layers: the network.
        taps: numbers of the layers whose outputs are compared.
        linear: the weights of the channels for each tap, (1, C, 1, 1).
    """

    shift: Tensor
    scale: Tensor

    def __init__(self, layers: nn.Sequential, taps: Sequence[int], linear: Sequence[Tensor]) -> None:
        super().__init__()
        self.layers, self.taps = layers.requires_grad_(False), taps
        self.linear = nn.ParameterList(nn.Parameter(weight, requires_grad=False) for weight in linear)
        self.register_buffer("shift", features.per_channel(SHIFT, "cpu"))
        self.register_buffer("scale", features.per_channel(SCALE, "cpu"))

    def forward(self, restored: Tensor, gt: Tensor) -> Tensor:
        """Distances (B,) of images (B, 3, H, W) in [-1, 1]."""
        pairs = zip(self._maps(restored), self._maps(gt), strict=True)
        distances = ((_unit(x) - _unit(y)).square() for x, y in pairs)
        weighted = [(w * d).sum(1).mean(dim=(1, 2)) for w, d in zip(self.linear, distances, strict=True)]
        return torch.stack(weighted).sum(dim=0)

    def _maps(self, images: Tensor) -> features.Maps:
        return features.maps(self.layers, self.taps, (images - self.shift) / self.scale)


class LPIPS:
    """The metric with one network; a call returns the distance of a restored image from its ground truth.

    Args:
        smallest: shortest side of an image, in pixels, for which the last tap has a pixel left.
        device: torch device.
    """

    def __init__(self, distance: PerceptualDistance, *, smallest: int, device: str) -> None:
        self.distance = distance.to(device)
        self.smallest, self.device = smallest, device

    @torch.inference_mode()
    def __call__(self, restored: np.ndarray, gt: np.ndarray) -> float:
        features.require_size("LPIPS", gt, self.smallest)
        pair = (features.to_tensor(image, self.device) * 2 - 1 for image in (restored, gt))
        return float(self.distance(*pair))


def squeezenet_distance() -> PerceptualDistance:
    """LPIPS with SqueezeNet, whose weights ship with the package, for tensors."""
    name = "lpips_squeeze_v0.1.npz"
    state = {key: torch.from_numpy(array) for key, array in read_shipped(name).items()}
    layers = features.squeezenet()
    fill(layers, {key.removeprefix("sq."): tensor for key, tensor in state.items()}, SHIPPED / name)
    linear = [state[f"lin.{number}"] for number in range(len(features.SQUEEZENET_TAPS))]
    return PerceptualDistance(layers, features.SQUEEZENET_TAPS, linear)


def load_squeezenet(paths: Paths, device: str) -> Score:
    """Load LPIPS with SqueezeNet, whose weights ship with the package."""
    return LPIPS(squeezenet_distance(), smallest=17, device=device)


def load_alexnet(paths: Paths, device: str) -> Score:
    """Load LPIPS with torchvision's ``alexnet`` weights and the authors' ``lpips_alex``.

    Raises:
        WeightsError: a file is damaged or holds other weights.
    """
    layers = features.load_features(features.alexnet(), paths["alexnet"])
    linear = _linear_layers(paths["lpips_alex"], ALEXNET_WIDTHS)
    return LPIPS(PerceptualDistance(layers, features.ALEXNET_TAPS, linear), smallest=31, device=device)


def load_vgg16(paths: Paths, device: str) -> Score:
    """Load LPIPS with torchvision's ``vgg16`` weights and the authors' ``lpips_vgg``.

    Raises:
        WeightsError: a file is damaged or holds other weights.
    """
    layers = features.load_features(features.vgg16(), paths["vgg16"])
    linear = _linear_layers(paths["lpips_vgg"], VGG16_WIDTHS)
    return LPIPS(PerceptualDistance(layers, features.VGG16_TAPS, linear), smallest=16, device=device)


def _unit(x: Tensor) -> Tensor:
    """Scale the vector of channels of each pixel to unit length."""
    squared = x.square().sum(1, keepdim=True).clamp_min(EPSILON**2)  # the gradient of the root is infinite at 0
    return x / (squared.sqrt() + EPSILON)


def _linear_layers(path: Path, widths: Sequence[int]) -> list[Tensor]:
    """Read the weights of the channels, one tensor for each tap."""
    state = read_tensors(path)
    return [take(state, f"lin{n}.model.1.weight", (1, width, 1, 1), path) for n, width in enumerate(widths)]
