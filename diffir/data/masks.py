"""Masks for inpainting: which one a sample gets, how it is laid on the image, and what white means in its file.

In: masks of any size, grey or RGB, 128 and more being white. Out: H x W x 1 float32, 1 = missing, and the four channels
an inpainting network takes: RGB x (1 - mask), mask.
"""

import hashlib
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


class Masks:
    """The masks of a folder, an LMDB or shards."""

    def __init__(self, root: str, *, white_is_missing: bool = True, recursive: bool = False) -> None:
        self.root = root
        self.source = open_photos(root, "dataroot_mask", recursive=recursive)
        self.white_is_missing = white_is_missing

    @classmethod
    def of(cls, config: PhotosConfig) -> "Masks":
        """Those that an option section names."""
        assert config.dataroot_mask is not None
        return cls(config.dataroot_mask, white_is_missing=config.mask_is_white == "missing", recursive=config.recursive)

    def drawn(self, rng: np.random.Generator, height: int, width: int, *, hflip: bool, rotate: bool) -> np.ndarray:
        """A mask for a sample, turned as samples are."""
        mask = self._read(int(rng.integers(len(self.source.names))))
        return _resized(draw_turn(rng, hflip=hflip, rotate=rotate)(mask), height, width)

    @cached_property
    def sha256(self) -> str:
        """Of names and pixels of all masks: what is cut depends on every one of them."""
        digest = hashlib.sha256()
        for index, name in enumerate(self.source.names):
            digest.update(name.encode())
            digest.update(np.packbits(self._read(index) > 0).tobytes())
        return digest.hexdigest()

    def numbered(self, index: int, height: int, width: int) -> np.ndarray:
        """The mask of the validation photo of that number; masks are used again where photos are more."""
        return _resized(self._read(index % len(self.source.names)), height, width)

    def named(self, name: str, height: int, width: int) -> np.ndarray:
        """The mask of the benchmark image of that name, whatever else is in its set: H x W bool, True = missing."""
        return self.numbered(crc32(name.encode()), height, width)[:, :, 0] > 0

    def _read(self, index: int) -> np.ndarray:
        """H x W x 1 float32, 1 = missing, never everywhere."""
        name = self.source.names[index]
        is_white = rgb8(self.source.read(name))[:, :, :1] >= _WHITE_FROM
        is_missing = is_white if self.white_is_missing else ~is_white
        if is_missing.all():
            given, other = ("missing", "keep") if self.white_is_missing else ("keep", "missing")
            raise ImageError(
                f"{name} of dataroot_mask {self.root} covers the whole image; mask_is_white is {given}: "
                f"remove the mask, or say {other} if that is what white means"
            )
        return is_missing.astype(np.float32)


def with_mask(image: Tensor, mask: np.ndarray) -> Tensor:
    """image (3, H, W), mask H x W x 1 with 1 = missing -> (4, H, W): RGB with zeros where missing, then the mask."""
    missing = torch.from_numpy(np.ascontiguousarray(mask.transpose(2, 0, 1)))
    return torch.cat([image * (1 - missing), missing])


def _resized(mask: np.ndarray, height: int, width: int) -> np.ndarray:
    """Nearest pixel: a mask stays 0 and 1. One of nearly everything can be everything at this size: then of nothing."""
    resized = cv2.resize(np.ascontiguousarray(mask), (width, height), interpolation=cv2.INTER_NEAREST)
    return (np.zeros_like(resized) if resized.all() else resized).reshape(height, width, 1)
