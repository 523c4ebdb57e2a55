"""Corrections of a restored image by what the low-quality image determines: its colours, and its shrunk version.

In and out: images (B, 3, H, W) in [0, 1]. Back-projection is Irani and Peleg, "Improving resolution by image
registration", 1991.
"""

import torch
import torch.nn.functional as F
from torch import Tensor

BACK_PROJECTIONS = 8  # each one divides the difference by about three
WAVELET_LEVELS = 5  # the low frequencies are what five levels of a dilated binomial filter leave


def back_projected(restored: Tensor, lq: Tensor, scale: int) -> Tensor:
    """Correct an enlarged image so that, shrunk by ``scale``, it nearly equals the low-quality image (B, 3, h, w)."""
    for _ in range(BACK_PROJECTIONS):
        shrunk = F.interpolate(restored, scale_factor=1 / scale, mode="bicubic", antialias=True)
        restored = restored + F.interpolate(lq - shrunk, scale_factor=scale, mode="bicubic")
    return restored


def with_mean_of(restored: Tensor, reference: Tensor) -> Tensor:
    """Shift each channel of each image to the mean colour of the reference (B, 3, H, W)."""
    return restored + (reference - restored).mean(dim=(2, 3), keepdim=True)


def with_low_frequencies_of(restored: Tensor, reference: Tensor) -> Tensor:
    """Replace the low frequencies of each channel by those of the reference (B, 3, H, W)."""
    return restored + low_frequencies(reference - restored)


def low_frequencies(images: Tensor) -> Tensor:
    """What the levels of an undecimated wavelet transform with the binomial filter 1 2 1 leave of images."""
    weights = torch.tensor([0.25, 0.5, 0.25], device=images.device, dtype=images.dtype)
    kernel = (weights[:, None] * weights).expand(3, 1, 3, 3)
    for level in range(WAVELET_LEVELS):
        reach = 2**level
        padded = F.pad(images, (reach,) * 4, mode="replicate")
        images = F.conv2d(padded, kernel, groups=3, dilation=reach)
    return images
