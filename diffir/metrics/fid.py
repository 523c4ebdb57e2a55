"""FID: distance between two sets of images, by the distributions of their Inception features.

In: images one by one, RGB h x w x 3 on the 8-bit scale. Out: one number for two sets, 0 for equal ones. Images are
resized to 299 x 299 as in pytorch-fid: bilinear, without antialiasing. Source: Heusel et al., "GANs trained by a two
time-scale update rule converge to a local Nash equilibrium", NeurIPS 2017, eq. 6.
"""

import numpy as np
import torch
import torch.nn.functional as F

from diffir.metrics.features import to_tensor
from diffir.metrics.inception import InceptionV3
from diffir.metrics.metric import Paths, SetDistance
from diffir.metrics.weight_files import fill, read_tensors

SIDE = 299  # pixels


def load(paths: Paths, device: str) -> SetDistance:
    """Load the metric with pytorch-fid's ``inception`` weights.

    Raises:
        WeightsError: the file is damaged or holds other weights.
    """
    network = InceptionV3()
    fill(network, read_tensors(paths["inception"]), paths["inception"])
    network.to(device)

    @torch.inference_mode()
    def describe(image: np.ndarray) -> np.ndarray:
        x = F.interpolate(to_tensor(image, device), (SIDE, SIDE), mode="bilinear", align_corners=False)
        return network(2 * x - 1)[0].double().cpu().numpy()

    return SetDistance(describe, frechet_distance)


def frechet_distance(a: np.ndarray, b: np.ndarray) -> float:
    """Return the squared Wasserstein-2 distance of the Gaussians with the means and covariances of two sets.

    |mean_a - mean_b|^2 + tr A + tr B - 2 tr (A B)^(1/2). With A = X'X and B = Y'Y the last trace is the sum of the
    singular values of X Y'. So no matrix root of a product of (often singular) covariances is needed, which could
    become complex.

    Args:
        a: (N, D), the features of one image per row; the distance is NaN if a set has fewer than two rows.
        b: (M, D), the same for the other set.
    """
    if min(len(a), len(b)) < 2:
        return float("nan")
    gap = a.mean(axis=0) - b.mean(axis=0)
    x, y = _root_of_covariance(a), _root_of_covariance(b)
    shared = np.linalg.svd(x @ y.T, compute_uv=False).sum()
    return max(0.0, float(gap @ gap + np.square(x).sum() + np.square(y).sum() - 2 * shared))


def _root_of_covariance(rows: np.ndarray) -> np.ndarray:
    """Return a matrix X of at most D rows whose product X'X is the covariance of the rows (N, D)."""
    x = (rows - rows.mean(axis=0)) / np.sqrt(len(rows) - 1)
    return np.asarray(np.linalg.qr(x, mode="r")) if len(x) > x.shape[1] else x
