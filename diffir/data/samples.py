"""Training samples: pairs of patches, and the random cropping, flipping and rotating that makes them.

In: images H x W x C uint8, where the low-quality image is ``scale`` times smaller than the ground truth. Out: float
tensors (C, H, W) in [0, 1]. Random choices come from the caller's generator. Crops are given in pixels of the smaller
image, so that both patches show exactly the same place.
"""

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from diffir.pixels import to_float


@dataclass(frozen=True)
class Turn:
    """One of the eight flips and rotations of a square."""

    mirror: bool = False
    """Exchange left and right first."""
    upside_down: bool = False
    """Exchange top and bottom as well."""
    swap_axes: bool = False
    """Exchange height and width after the flips."""

    def __call__(self, patch: np.ndarray) -> np.ndarray:
        """Flip and rotate a patch (H, W, C); with ``swap_axes`` the result is (W, H, C)."""
        patch = patch[:, ::-1] if self.mirror else patch
        patch = patch[::-1] if self.upside_down else patch
        return patch.swapaxes(0, 1) if self.swap_axes else patch


def draw_turn(rng: np.random.Generator, *, hflip: bool, rotate: bool) -> Turn:
    """Draw one of the allowed turns; only allowed choices use the generator."""
    return Turn(
        mirror=hflip and rng.random() < 0.5,
        upside_down=rotate and rng.random() < 0.5,
        swap_axes=rotate and rng.random() < 0.5,
    )


@dataclass(frozen=True)
class Crop:
    """A square of an image, in pixels of the smaller image of a pair."""

    top: int
    left: int
    size: int

    def __call__(self, image: np.ndarray, scale: int = 1) -> np.ndarray:
        """Cut the square from an image with ``scale`` times more pixels a side; beyond its border it is mirrored."""
        top, left, size = (scale * value for value in (self.top, self.left, self.size))
        piece = image[top : top + size, left : left + size]
        short = size - piece.shape[0], size - piece.shape[1]
        return np.pad(piece, ((0, short[0]), (0, short[1]), (0, 0)), mode="symmetric") if max(short) else piece


def draw_crop(rng: np.random.Generator, height: int, width: int, size: int) -> Crop:
    """Draw the place of a square in an image; it starts at the top left if the image is smaller."""
    top = int(rng.integers(max(height, size) - size + 1))
    return Crop(top, int(rng.integers(max(width, size) - size + 1)), size)


def centred_crop(height: int, width: int, size: int | None, multiple_of: int) -> tuple[slice, slice]:
    """Rows and columns of the largest centred crop.

    Args:
        size: largest side of the crop in pixels; None: no limit.
        multiple_of: both sides of the crop are multiples of this number.
    """
    rows, columns = (min(side, size or side) // multiple_of * multiple_of for side in (height, width))
    top, left = (height - rows) // 2, (width - columns) // 2
    return slice(top, top + rows), slice(left, left + columns)


def to_tensor(image: np.ndarray) -> Tensor:
    """Convert an image H x W x C, uint8 or float with white at 1, to a tensor (C, H, W) float32 in [0, 1]."""
    return torch.from_numpy(np.ascontiguousarray(to_float(image).transpose(2, 0, 1))).float()
