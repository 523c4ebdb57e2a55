"""A first guess for holes: the smooth surface that is spanned over each by the pixels around it.

In: images (B, C, H, W) and masks (B, 1, H, W), 1 = missing. Out: the images, known pixels untouched. Law: a pixel in a
hole is the mean of its four neighbours (Laplace's equation, the membrane of Perez et al., "Poisson Image Editing",
SIGGRAPH 2003), nearly: solved coarse to fine, as pull-push does (Gortler et al., "The Lumigraph", SIGGRAPH 1996).
"""

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from diffir.pixels import to_float, to_kind

SWEEPS = 6  # a level; with none holes show squares, and beyond six the error of held-out photos falls by under 2 %


def fill_holes(images: Tensor, masks: Tensor) -> Tensor:
    """The membrane over all holes; what lies in them does not matter, and an image without known pixels is all 0."""
    holes = masks > 0
    return _spanned(images.masked_fill(holes, 0), holes)


def fill_photo(image: np.ndarray, holes: np.ndarray) -> np.ndarray:
    """A copy of H x W x C, of any kind of pixel, filled where ``holes`` (H x W, bool) are.

    Plane by plane, since a photo in floats is large.
    """
    image, mask = image.copy(), torch.from_numpy(np.ascontiguousarray(holes))[None, None]
    for plane in np.moveaxis(image, 2, 0):
        values = torch.from_numpy(to_float(plane).astype(np.float32))[None, None]
        plane[holes] = to_kind(fill_holes(values, mask)[0, 0].numpy()[holes], image.dtype)
    return image


def _spanned(images: Tensor, holes: Tensor) -> Tensor:
    """``fill_holes`` where holes are 0."""
    height, width = images.shape[-2:]
    if height == width == 1:
        return images
    coarse = _spanned(*_halved(images, holes))
    surface = F.interpolate(coarse, scale_factor=2, mode="bilinear", align_corners=False)[..., :height, :width]
    filled = torch.where(holes, surface, images)
    del surface
    for _ in range(SWEEPS):
        filled = torch.where(holes, _mean_of_neighbours(filled), filled)
    return filled


def _halved(images: Tensor, holes: Tensor) -> tuple[Tensor, Tensor]:
    """The means of what is known of 2 x 2 pixels each, and where nothing is."""
    known = F.avg_pool2d((~holes).to(images.dtype), 2, ceil_mode=True)
    return F.avg_pool2d(images, 2, ceil_mode=True) / known.clamp_min(0.25), known == 0


def _mean_of_neighbours(x: Tensor) -> Tensor:
    """Of the four; beyond the border lies the pixel itself."""
    x = F.pad(x, (1, 1, 1, 1), mode="replicate")
    total = x[..., 1:-1, :-2] + x[..., 1:-1, 2:]
    total += x[..., :-2, 1:-1]
    total += x[..., 2:, 1:-1]
    return total.div_(4)
