"""The convolutions of AlexNet, VGG16 and SqueezeNet 1.1, whose maps LPIPS and DISTS compare.

In: images (1, 3, H, W). Out: maps one by one, so that only one is in memory. Layers have the places of torchvision's
``features``, so public files load as they are. Krizhevsky, 2014; Simonyan and Zisserman, ICLR 2015; Iandola et al.,
2016, version 1.1.
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

ALEXNET_TAPS = (1, 4, 7, 9, 11)
VGG16_TAPS = (3, 8, 15, 22, 29)  # the last ReLU of each level
SQUEEZENET_TAPS = (1, 4, 7, 9, 10, 11, 12)
VGG16_LEVELS = ((64, 64), (128, 128), (256, 256, 256), (512, 512, 512), (512, 512, 512))


class Fire(nn.Module):
    """A narrow 1x1 convolution, then 1x1 and 3x3 side by side."""

    def __init__(self, given: int, narrow: int, wide: int) -> None:
        super().__init__()
        self.squeeze = nn.Conv2d(given, narrow, 1)
        self.expand1x1 = nn.Conv2d(narrow, wide, 1)
        self.expand3x3 = nn.Conv2d(narrow, wide, 3, padding=1)

    def forward(self, x: Tensor) -> Tensor:
        x = F.relu(self.squeeze(x))
        return torch.cat([F.relu(self.expand1x1(x)), F.relu(self.expand3x3(x))], dim=1)


def alexnet() -> nn.Sequential:
    """Up to the last ReLU."""
    return nn.Sequential(
        *(nn.Conv2d(3, 64, 11, stride=4, padding=2), nn.ReLU()),
        *(nn.MaxPool2d(3, 2), nn.Conv2d(64, 192, 5, padding=2), nn.ReLU()),
        *(nn.MaxPool2d(3, 2), nn.Conv2d(192, 384, 3, padding=1), nn.ReLU()),
        *(nn.Conv2d(384, 256, 3, padding=1), nn.ReLU()),
        *(nn.Conv2d(256, 256, 3, padding=1), nn.ReLU()),
    )


def vgg16() -> nn.Sequential:
    """Up to the last ReLU."""
    layers: list[nn.Module] = []
    given = 3
    for level in VGG16_LEVELS:
        for width in level:
            layers += [nn.Conv2d(given, width, 3, padding=1), nn.ReLU()]
            given = width
        layers.append(nn.MaxPool2d(2))
    return nn.Sequential(*layers[:-1])


def squeezenet() -> nn.Sequential:
    """Up to the last Fire."""
    return nn.Sequential(
        *(nn.Conv2d(3, 64, 3, stride=2), nn.ReLU()),
        *(nn.MaxPool2d(3, 2, ceil_mode=True), Fire(64, 16, 64), Fire(128, 16, 64)),
        *(nn.MaxPool2d(3, 2, ceil_mode=True), Fire(128, 32, 128), Fire(256, 32, 128)),
        *(nn.MaxPool2d(3, 2, ceil_mode=True), Fire(256, 48, 192), Fire(384, 48, 192)),
        *(Fire(384, 64, 256), Fire(512, 64, 256)),
    )


def load_features(layers: nn.Sequential, path: Path) -> nn.Sequential:
    """The layers with the weights of torchvision's file, whose ``features`` are read, frozen.

    Raises:
        WeightsError: damaged, or the file of another network.
    """
    fill(layers, {name.removeprefix("features."): tensor for name, tensor in read_tensors(path).items()}, path)
    return layers


def maps(layers: nn.Sequential, taps: Sequence[int], x: Tensor) -> Maps:
    """What the layers at ``taps`` make of x, first to last."""
    for place, layer in enumerate(layers):
        x = layer(x)
        if place in taps:
            yield x


def to_tensor(image: np.ndarray, device: str) -> Tensor:
    """RGB h x w x 3 on the 8-bit scale -> (1, 3, h, w) float32 with white at 1."""
    return torch.from_numpy((image / 255).astype(np.float32).transpose(2, 0, 1)[None]).to(device)


def per_channel(values: Sequence[float], device: str) -> Tensor:
    """Three numbers, shaped to meet images."""
    return torch.tensor(values, device=device).view(1, 3, 1, 1)


def require_size(metric: str, image: np.ndarray, smallest: int) -> None:
    """Refuse an image of which the last level would see nothing.

    Raises:
        ImageError: a side of less than ``smallest`` pixels.
    """
    height, width = image.shape[:2]
    if min(height, width) < smallest:
        raise ImageError(f"{metric} needs {smallest} x {smallest} pixels inside the border, got {width} x {height}")
