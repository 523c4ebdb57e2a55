"""Masks for inpainting from files: which mask a sample gets, its size, and the meaning of white in the file.

In: masks of any size, grey or RGB; values of 128 and more are white. Out: H x W x 1 float32, 1 = missing, and the four
input channels of an inpainting network: RGB x (1 - mask), mask.
"""

import hashlib
import os
from functools import cached_property
from zlib import crc32

import cv2
import numpy as np
import torch
from torch import Tensor

from diffir.config import PhotosConfig
from diffir.data.photo_sources import open_photos, rgb8
from diffir.data.samples import draw_turn
from diffir.errors import ImageError

_WHITE_FROM = 128


class MaskSet:
    """The masks of a folder, an LMDB or shards."""

    def __init__(self, root: str, *, white_is_missing: bool = True, recursive: bool = False) -> None:
        self.root = root
        self.source = open_photos(root, "dataroot_mask", recursive=recursive)
        self.white_is_missing = white_is_missing

    @classmethod
    def from_config(cls, config: PhotosConfig) -> "MaskSet":
        """The masks that an option section names."""
        assert config.dataroot_mask is not None
        return cls(config.dataroot_mask, white_is_missing=config.mask_is_white == "missing", recursive=config.recursive)

    def draw(self, rng: np.random.Generator, height: int, width: int, *, hflip: bool, rotate: bool) -> np.ndarray:
        """Draw a mask (H, W, 1) for a training sample, and flip or rotate it at random."""
        mask = self._read(int(rng.integers(len(self.source.names))))
        return _resized(draw_turn(rng, hflip=hflip, rotate=rotate)(mask), height, width)

    @cached_property
    def sha256(self) -> str:
        """SHA-256 over names and pixels of all masks, on which the choice for every image depends."""
        digest = hashlib.sha256()
        for index, name in enumerate(self.source.names):
            digest.update(os.fsencode(name))
            digest.update(np.packbits(self._read(index) > 0).tobytes())
        return digest.hexdigest()

    def by_index(self, index: int, height: int, width: int) -> np.ndarray:
        """The mask (H, W, 1) of the validation photo with this number; masks repeat if there are fewer of them."""
        return _resized(self._read(index % len(self.source.names)), height, width)

    def by_name(self, name: str, height: int, width: int) -> np.ndarray:
        """The mask of the benchmark image of this name, independent of other images: H x W bool, True = missing."""
        return self.by_index(crc32(os.fsencode(name)), height, width)[:, :, 0] > 0

    def _read(self, index: int) -> np.ndarray:
        """Read a mask as H x W x 1 float32, 1 = missing.

        Raises:
            ImageError: the mask covers the whole image.
        """
        name = self.source.names[index]
        is_white = rgb8(self.source.read(name))[:, :, :1] >= _WHITE_FROM
        is_missing = is_white if self.white_is_missing else ~is_white
        if is_missing.all():
            given, other = ("missing", "keep") if self.white_is_missing else ("keep", "missing")
            raise ImageError(
                f"{name} of dataroot_mask {self.root} covers the whole image; mask_is_white is {given}: "
                f"remove the mask, or set it to {other} if that is the meaning of white"
            )
        return is_missing.astype(np.float32)


def with_mask(image: Tensor, mask: np.ndarray) -> Tensor:
    """Put a mask on an image: (4, H, W), RGB with zeros where pixels are missing, then the mask.

    Args:
        image: (3, H, W) float RGB.
        mask: H x W x 1 float32, 1 = missing.
    """
    missing = torch.from_numpy(np.ascontiguousarray(mask.transpose(2, 0, 1)))
    return torch.cat([image * (1 - missing), missing])


def _resized(mask: np.ndarray, height: int, width: int) -> np.ndarray:
    """Resize by nearest pixel, so that a mask stays 0 and 1.

    A mask of nearly the whole image may cover all of it at the new size; it then becomes a mask of nothing.
    """
    resized = cv2.resize(np.ascontiguousarray(mask), (width, height), interpolation=cv2.INTER_NEAREST)
    return (np.zeros_like(resized) if resized.all() else resized).reshape(height, width, 1)
