"""The convolutional parts of AlexNet, VGG16 and SqueezeNet 1.1, whose feature maps LPIPS and DISTS compare.

In: images (1, 3, H, W). Out: an iterator over feature maps, so that only one is in memory at a time. Layers have the
same numbers as in torchvision's ``features``, so that public weight files can be loaded. Source: Krizhevsky, 2014;
Simonyan and Zisserman, ICLR 2015; Iandola et al., 2016, version 1.1.
"""

from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from diffir.errors import ImageError
from diffir.metrics.weight_files import fill, read_tensors

Maps = Iterator[Tensor]

# Numbers of the layers whose feature maps are compared.
ALEXNET_TAPS = (1, 4, 7, 9, 11)
VGG16_TAPS = (3, 8, 15, 22, 29)  # the last ReLU of each level
SQUEEZENET_TAPS = (1, 4, 7, 9, 10, 11, 12)
VGG16_LEVELS = ((64, 64), (128, 128), (256, 256, 256), (512, 512, 512), (512, 512, 512))


class Fire(nn.Module):
    """Fire module of SqueezeNet: a narrow 1x1 convolution, then a 1x1 and a 3x3 convolution in parallel."""

    def __init__(self, given: int, narrow: int, wide: int) -> None:
        super().__init__()
        self.squeeze = nn.Conv2d(given, narrow, 1)
        self.expand1x1 = nn.Conv2d(narrow, wide, 1)
        self.expand3x3 = nn.Conv2d(narrow, wide, 3, padding=1)

    def forward(self, x: Tensor) -> Tensor:
        x = F.relu(self.squeeze(x))
        return torch.cat([F.relu(self.expand1x1(x)), F.relu(self.expand3x3(x))], dim=1)


def alexnet() -> nn.Sequential:
    """Build the layers of AlexNet up to the last ReLU of its convolutions, with random weights."""
    return nn.Sequential(
        *(nn.Conv2d(3, 64, 11, stride=4, padding=2), nn.ReLU()),
        *(nn.MaxPool2d(3, 2), nn.Conv2d(64, 192, 5, padding=2), nn.ReLU()),
        *(nn.MaxPool2d(3, 2), nn.Conv2d(192, 384, 3, padding=1), nn.ReLU()),
        *(nn.Conv2d(384, 256, 3, padding=1), nn.ReLU()),
        *(nn.Conv2d(256, 256, 3, padding=1), nn.ReLU()),
    )


def vgg16() -> nn.Sequential:
    """Build the layers of VGG16 up to the last ReLU of its convolutions, with random weights."""
    layers: list[nn.Module] = []
    given = 3
    for level in VGG16_LEVELS:
        for width in level:
            layers += [nn.Conv2d(given, width, 3, padding=1), nn.ReLU()]
            given = width
        layers.append(nn.MaxPool2d(2))
    return nn.Sequential(*layers[:-1])


def squeezenet() -> nn.Sequential:
    """Build the layers of SqueezeNet 1.1 up to the last Fire module, with random weights."""
    return nn.Sequential(
        *(nn.Conv2d(3, 64, 3, stride=2), nn.ReLU()),
        *(nn.MaxPool2d(3, 2, ceil_mode=True), Fire(64, 16, 64), Fire(128, 16, 64)),
        *(nn.MaxPool2d(3, 2, ceil_mode=True), Fire(128, 32, 128), Fire(256, 32, 128)),
        *(nn.MaxPool2d(3, 2, ceil_mode=True), Fire(256, 48, 192), Fire(384, 48, 192)),
        *(Fire(384, 64, 256), Fire(512, 64, 256)),
    )


def load_features(layers: nn.Sequential, path: Path) -> nn.Sequential:
    """Load the weights named ``features.*`` of torchvision's file into the layers, and freeze them.

    Raises:
        WeightsError: the file is damaged, or it is that of another network.
    """
    fill(layers, {name.removeprefix("features."): tensor for name, tensor in read_tensors(path).items()}, path)
    return layers


def maps(layers: nn.Sequential, taps: Sequence[int], x: Tensor) -> Maps:
    """Yield the output of each layer whose number is in ``taps``, first to last, for an input x (B, 3, H, W)."""
    for place, layer in enumerate(layers):
        x = layer(x)
        if place in taps:
            yield x


def to_tensor(image: np.ndarray, device: str) -> Tensor:
    """Convert RGB h x w x 3 on the 8-bit scale to a tensor (1, 3, h, w) of float32 with white at 1."""
    return torch.from_numpy((image / 255).astype(np.float32).transpose(2, 0, 1)[None]).to(device)


def per_channel(values: Sequence[float], device: str) -> Tensor:
    """Return one value for each of three channels as a tensor (1, 3, 1, 1)."""
    return torch.tensor(values, device=device).view(1, 3, 1, 1)


def require_size(metric: str, image: np.ndarray, smallest: int) -> None:
    """Check that an image h x w x c is large enough for the last level of a network.

    Raises:
        ImageError: a side has less than ``smallest`` pixels.
    """
    height, width = image.shape[:2]
    if min(height, width) < smallest:
        raise ImageError(f"{metric} needs {smallest} x {smallest} pixels inside the border, got {width} x {height}")
