"""DISTS: similarity of texture and structure in the features of VGG16.

In: RGB images h x w x 3 on the 8-bit scale. They are compared in [0, 1] at their own size; the authors' script first
scales them to 256 pixels. Out: one number, 0 for equal images. Source: Ding et al., "Image quality assessment:
unifying structure and texture similarity", TPAMI 2020, eq. 1 and 4 to 6.
"""

from collections.abc import Iterator
from itertools import chain

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from diffir.metrics import features
from diffir.metrics.metric import Paths, Score
from diffir.metrics.weight_files import read_tensors, take

MEAN = (0.485, 0.456, 0.406)  # ImageNet's statistics of RGB in [0, 1]
STD = (0.229, 0.224, 0.225)
C1 = C2 = 1e-6  # the paper's values; they avoid division by zero in flat maps
SMALLEST = 16  # pixels; the last level then has a side of 1 pixel
WIDTHS = (3, *(level[-1] for level in features.VGG16_LEVELS))  # the image itself is the first level


class RootMeanSquarePool(nn.Module):
    """L2 pooling of stride 2, which replaces the max pooling of VGG16: the root of the blurred square (eq. 1)."""

    def forward(self, x: Tensor) -> Tensor:
        hann = x.new_tensor([0.25, 0.5, 0.25])  # inner values of a Hann window of five, sum 1
        window = (hann[:, None] * hann).expand(x.shape[1], 1, 3, 3)
        return (F.conv2d(x.square(), window, stride=2, padding=1, groups=x.shape[1]) + 1e-12).sqrt()


def load(paths: Paths, device: str) -> Score:
    """Load the metric with torchvision's ``vgg16`` and with ``dists``, the authors' weights of its channels.

    Raises:
        WeightsError: a file is damaged or holds other weights.
    """
    # Replace the max pooling of VGG16.
    layers = features.load_features(features.vgg16(), paths["vgg16"])
    pooled = nn.Sequential(*(RootMeanSquarePool() if isinstance(x, nn.MaxPool2d) else x for x in layers)).to(device)
    # Normalise the weights of all channels to the sum 1, and split them by level.
    state = read_tensors(paths["dists"])
    alpha, beta = (take(state, name, (1, sum(WIDTHS), 1, 1), paths["dists"]).to(device) for name in ("alpha", "beta"))
    total = alpha.sum() + beta.sum()
    weights = list(zip((alpha / total).split(WIDTHS, 1), (beta / total).split(WIDTHS, 1), strict=True))
    mean, std = features.per_channel(MEAN, device), features.per_channel(STD, device)

    def levels(image: np.ndarray) -> Iterator[Tensor]:
        x = features.to_tensor(image, device)
        return chain([x], features.maps(pooled, features.VGG16_TAPS, (x - mean) / std))

    @torch.inference_mode()
    def score(restored: np.ndarray, gt: np.ndarray) -> float:
        features.require_size("DISTS", gt, SMALLEST)
        likeness = 0.0
        for x, y, (of_texture, of_structure) in zip(levels(restored), levels(gt), weights, strict=True):
            texture, structure = compare(x, y)
            likeness += float((of_texture * texture + of_structure * structure).sum())
        return 1 - likeness

    return score


def compare(x: Tensor, y: Tensor) -> tuple[Tensor, Tensor]:
    """Return the similarity of the means (texture, eq. 4) and of the deviations (structure, eq. 5).

    Args:
        x, y: feature maps (1, C, H, W); both results are (1, C, 1, 1).
    """
    mean_x, mean_y = (side.mean((2, 3), keepdim=True) for side in (x, y))
    x, y = x - mean_x, y - mean_y
    variances = (x.square() + y.square()).mean((2, 3), keepdim=True)
    covariance = (x * y).mean((2, 3), keepdim=True)
    texture = (2 * mean_x * mean_y + C1) / (mean_x.square() + mean_y.square() + C1)
    return texture, (2 * covariance + C2) / (variances + C2)
