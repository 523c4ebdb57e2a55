"""What a training sample is, and how patches are cut and turned: the same for an image and for its partner.

In: images H x W x C, uint8, a partner ``scale`` times smaller than the clean image. Out: float tensors (C, H, W) in
[0, 1]. Random choices come from the caller's generator, in pixels of the smaller image, so that cuts match exactly.
"""

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from diffir.pixels import to_float


class Pair(NamedTuple):
    """A low-quality image and the clean one; with a leading axis, a batch of them."""

    lq: Tensor
    """(C, h, w) float32, around [0, 1]; C is 4 with a mask: RGB without the missing pixels, then 1 where missing."""
    gt: Tensor
    """(3, S, S) float32 in [0, 1], RGB."""


@dataclass(frozen=True)
class Turn:
    """One of the eight ways to lay a square."""

    mirror: bool = False
    upside_down: bool = False
    swap_axes: bool = False

    def __call__(self, patch: np.ndarray) -> np.ndarray:
        """The patch, turned; H and W change places where ``swap_axes`` says so."""
        patch = patch[:, ::-1] if self.mirror else patch
        patch = patch[::-1] if self.upside_down else patch
        return patch.swapaxes(0, 1) if self.swap_axes else patch


def draw_turn(rng: np.random.Generator, *, hflip: bool, rotate: bool) -> Turn:
    """A turn among those allowed; draws only for those."""
    return Turn(
        mirror=hflip and rng.random() < 0.5,
        upside_down=rotate and rng.random() < 0.5,
        swap_axes=rotate and rng.random() < 0.5,
    )


@dataclass(frozen=True)
class Cut:
    """A square of an image, in pixels of the smaller image of a pair."""

    top: int
    left: int
    size: int

    def __call__(self, image: np.ndarray, scale: int = 1) -> np.ndarray:
        """The square of an image whose pixels are ``scale`` times finer; mirrored on where the image ends."""
        top, left, size = (scale * value for value in (self.top, self.left, self.size))
        piece = image[top : top + size, left : left + size]
        short = size - piece.shape[0], size - piece.shape[1]
        return np.pad(piece, ((0, short[0]), (0, short[1]), (0, 0)), mode="symmetric") if max(short) else piece


def draw_cut(rng: np.random.Generator, height: int, width: int, size: int) -> Cut:
    """A square anywhere in an image; at its top left where the image is smaller."""
    top = int(rng.integers(max(height, size) - size + 1))
    return Cut(top, int(rng.integers(max(width, size) - size + 1)), size)


def middle_cut(height: int, width: int, size: int | None, multiple_of: int) -> tuple[slice, slice]:
    """Rows and columns of the largest middle piece of at most ``size`` a side (None: any), multiples of a number."""
    rows, columns = (min(side, size or side) // multiple_of * multiple_of for side in (height, width))
    top, left = (height - rows) // 2, (width - columns) // 2
    return slice(top, top + rows), slice(left, left + columns)


def to_tensor(image: np.ndarray) -> Tensor:
    """H x W x C, uint8 or float with white at 1 -> (C, H, W) float32."""
    return torch.from_numpy(np.ascontiguousarray(to_float(image).transpose(2, 0, 1))).float()
