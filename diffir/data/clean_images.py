"""Clean photos for training: which photo, patch, turn and damage a sample is, as a pure function of its number.

Sample i of a run depends on the seed and on i alone: not on workers, not on what was read before. So a resumed run sees
exactly what an uninterrupted one would have, without any saved position.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import Dataset

from diffir.config import PhotosConfig
from diffir.data.batch_plan import PatchRequest
from diffir.degradations.recipes import Recipe
from diffir.errors import ConfigError
from diffir.image_io import list_images, read_image
from diffir.pixels import as_rgb, to_float, to_kind
from diffir.seeds import generator_for

CPU = torch.device("cpu")


def find_photos(photos: PhotosConfig) -> list[Path]:
    """Photos of a folder, or those of them that a list names (one a line, relative to the folder).

    Raises:
        ConfigError: no folder, no list, or no photo in them.
    """
    folder = Path(photos.dataroot_gt)
    if not folder.is_dir():
        raise ConfigError(f"dataroot_gt {folder} is not a folder")
    if photos.meta_info_file is None:
        found = list_images(folder, with_plugins=False)  # raw files lie beside the JPEGs made from them
    else:
        found = _listed(folder, Path(photos.meta_info_file))
    if not found:
        raise ConfigError(f"no photo in {folder}")
    return found


def _listed(folder: Path, meta_info_file: Path) -> list[Path]:
    if not meta_info_file.is_file():
        raise ConfigError(f"meta_info_file {meta_info_file} does not exist")
    lines = (line.strip() for line in meta_info_file.read_text("utf-8").splitlines())
    # BasicSR's lists go on with the size in brackets: "0001.png (480,480,3)".
    photos = [folder / line.split(" (")[0] for line in lines if line and not line.startswith("#")]
    missing = [photo for photo in photos if not photo.is_file()]
    if missing:
        raise ConfigError(f"{meta_info_file} names {missing[0]}, which does not exist ({len(missing)} missing)")
    return photos


def read_rgb(path: Path) -> np.ndarray:
    """A photo as H x W x 3 uint8 RGB; grey becomes three equal channels, 16 bit becomes 8, alpha is left out."""
    pixels = as_rgb(read_image(path).pixels)
    return pixels if pixels.dtype == np.uint8 else to_kind(to_float(pixels), np.uint8)


class Pair(NamedTuple):
    """A low-quality image and the clean one; with a leading axis, a batch of them."""

    lq: Tensor
    """(C, h, w) float32, around [0, 1]; C is 4 with a mask."""
    gt: Tensor
    """(3, S, S) float32 in [0, 1], RGB."""


class DamagedPatches(Dataset[Pair]):
    """Random patches of clean photos, mirrored and turned, and what a recipe makes of them.

    Every photo is used once before any is used again.
    """

    def __init__(
        self,
        photos: Sequence[Path],
        recipe: Recipe,
        *,
        seed: Sequence[int],
        hflip: bool,
        rotate: bool,
        cache_images: bool,
    ) -> None:
        self.photos = list(photos)
        self.recipe = recipe
        self.seed = list(seed)
        self.hflip = hflip
        self.rotate = rotate
        self._cache: dict[Path, np.ndarray] | None = {} if cache_images else None

    def __getitem__(self, request: PatchRequest) -> Pair:
        epoch, place = divmod(request.index, len(self.photos))
        order = np.random.default_rng([*self.seed, 0, epoch]).permutation(len(self.photos))
        image = self._read(self.photos[order[place]])
        rng = np.random.default_rng([*self.seed, 1, request.index])
        patch = _turn(_random_crop(image, request.size, rng), rng, hflip=self.hflip, rotate=self.rotate)
        gt = torch.from_numpy(np.ascontiguousarray(patch.transpose(2, 0, 1))).float() / 255
        return Pair(self.recipe(gt[None], generator_for(CPU, *self.seed, 2, request.index))[0], gt)

    def _read(self, path: Path) -> np.ndarray:
        if self._cache is None:
            return read_rgb(path)
        if path not in self._cache:
            self._cache[path] = read_rgb(path)
        return self._cache[path]


def _random_crop(image: np.ndarray, size: int, rng: np.random.Generator) -> np.ndarray:
    height, width = image.shape[:2]
    if min(height, width) < size:
        short_y, short_x = max(size - height, 0), max(size - width, 0)
        image = np.pad(image, ((0, short_y), (0, short_x), (0, 0)), mode="symmetric")
        height, width = image.shape[:2]
    top, left = rng.integers(height - size + 1), rng.integers(width - size + 1)
    return image[top : top + size, left : left + size]


def _turn(patch: np.ndarray, rng: np.random.Generator, *, hflip: bool, rotate: bool) -> np.ndarray:
    if hflip and rng.random() < 0.5:
        patch = patch[:, ::-1]
    if rotate and rng.random() < 0.5:
        patch = patch[::-1]
    if rotate and rng.random() < 0.5:
        patch = patch.swapaxes(0, 1)
    return patch
