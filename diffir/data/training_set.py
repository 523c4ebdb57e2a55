"""The training set of an option file: photo, patch, turn, degradation and mask of a sample follow from its number.

Sample i of a run depends only on the seed and on i, not on workers or on earlier samples. A resumed run therefore sees
the samples of an uninterrupted one without a saved position. Every photo is used once before any is used again.
Streams of a seed: 0 order of an epoch, 1 cut and turn, 2 degradation recipe, 3 global generators, 4 mask, 5 grey.
"""

from collections.abc import Callable, Sequence
from functools import lru_cache
from typing import Generic, NamedTuple, TypeVar

import cv2
import numpy as np
import torch
from torch.utils.data import Dataset

from diffir.config import TrainSetConfig
from diffir.data.batch_plan import PatchRequest
from diffir.data.global_seeds import global_seeds
from diffir.data.mask_set import MaskSet, with_mask
from diffir.data.photo_pairs import PhotoPairs
from diffir.data.photo_sources import PhotoSource, open_photos, rgb8
from diffir.data.samples import draw_crop, draw_turn, to_tensor
from diffir.degradations.recipes import Recipe, build_recipe
from diffir.errors import ConfigError
from diffir.seeds import generator_for
from diffir.system import Facts, Pair

T = TypeVar("T")


class TrainingFacts(NamedTuple):
    """What a network must be to learn from a training set."""

    scale: int
    """Sides of the clean image by sides of the low-quality one."""
    channels: int
    """Of the low-quality image: 3, or 4 with a mask."""

    def check(self, facts: Facts, *, network: str, pairs: str) -> None:
        """Refuse a network that cannot learn from these pairs; the two names stand in the message.

        Raises:
            ConfigError: another scale or other channels.
        """
        if self != (facts.scale, facts.in_channels):
            raise ConfigError(
                f"{network} enlarges x{facts.scale} and takes {facts.in_channels} channels; {pairs} "
                f"x{self.scale} with {self.channels} channels (4: RGB and a mask)"
            )


def open_training_set(config: TrainSetConfig, *, seed: Sequence[int]) -> Dataset[Pair]:
    """Open the training set, which is indexed by ``PatchRequest``: degraded or masked photos, or pairs from disk.

    Raises:
        ConfigError: photos, partners or masks are missing, or the recipe is invalid.
        PairingError: a photo has no partner.
        MissingDependency: photos are in an LMDB, and the package for it is not installed.
    """
    if config.dataroot_lq is not None:
        return PairedPatches(config, seed)
    return DegradedPatches(config, seed)


def training_facts(config: TrainSetConfig) -> TrainingFacts:
    """Scale and channels of a training set, from its first pair or its recipe; raises as ``open_training_set``."""
    if config.dataroot_lq is not None:
        return TrainingFacts(PhotoPairs(config).scale, 3)
    if config.dataroot_mask is not None:
        return TrainingFacts(1, 4)
    return _facts_of(build_recipe(config.degradation))


class DegradedPatches(Dataset[Pair]):
    """Random patches of clean photos, flipped and rotated, which a recipe or a mask degrades."""

    def __init__(self, config: TrainSetConfig, seed: Sequence[int]) -> None:
        self.config = config
        self.seed = tuple(seed)
        self.photos = open_photos(
            config.dataroot_gt, "dataroot_gt", meta_info_file=config.meta_info_file, recursive=config.recursive
        )
        self.recipe = build_recipe(config.degradation) if config.degradation else None
        self.facts = _facts_of(self.recipe) if self.recipe is not None else TrainingFacts(1, 3)
        self.masks = MaskSet.from_config(config) if config.dataroot_mask is not None else None
        self._read = _Reader(self._rgb, keep=config.cache_images)

    def __getitem__(self, request: PatchRequest) -> Pair:
        # Cut and turn a patch of the photo.
        image = self.photo(request.index)
        rng = np.random.default_rng([*self.seed, 1, request.index])
        crop = draw_crop(rng, image.shape[0], image.shape[1], request.size)
        turn = draw_turn(rng, hflip=self.config.use_hflip, rotate=self.config.use_rot)

        # Degrade it.
        lq, gt = self.degraded(to_tensor(turn(crop(image))), request.index)

        # Cut holes.
        if self.masks is None:
            return Pair(lq, gt)
        if lq.shape != gt.shape:
            raise ConfigError("dataroot_mask needs a degradation that keeps size and channels; drop one of the two")
        rng = np.random.default_rng([*self.seed, 4, request.index])
        mask = self.masks.draw(rng, request.size, request.size, hflip=self.config.use_hflip, rotate=self.config.use_rot)
        return Pair(with_mask(lq, mask), gt)

    def photo(self, index: int) -> np.ndarray:
        """The photo that the sample with this index uses, H x W x 3 uint8; it may be made grey."""
        photo = self._read(_nth(self.photos, self.seed, index))
        share = self.config.gray_prob
        if not share or np.random.default_rng([*self.seed, 5, index]).random() >= share:
            return photo
        return np.repeat(cv2.cvtColor(photo, cv2.COLOR_RGB2GRAY)[..., None], 3, axis=2)

    def degraded(self, clean: torch.Tensor, index: int) -> Pair:
        """Degrade an image (3, H, W) as the sample with this index; without a recipe it is returned as it is."""
        recipe = self.recipe
        if recipe is None:
            return Pair(clean, clean)
        with global_seeds(*self.seed, 3, index):
            lqs, gts = recipe.pairs(clean[None], generator_for(*self.seed, 2, index))
        lq, gt = lqs[0], gts[0]
        scale, channels = self.facts
        usual = (channels, gt.shape[1] // scale, gt.shape[2] // scale)
        if lq.shape != usual:  # the facts come from a few trials, which may miss a rare step
            raise ConfigError(
                f"sample {index}: {recipe.name} made {_size(lq.shape)} of {_size(gt.shape)}, and otherwise makes "
                f"{_size(usual)}: all samples need one size; end with resize_back, and cut holes always or never"
            )
        return Pair(lq, gt)

    def _rgb(self, name: str) -> np.ndarray:
        return rgb8(self.photos.read(name))


class PairedPatches(Dataset[Pair]):
    """Random patches of clean photos and the matching patches of their degraded partners."""

    def __init__(self, config: TrainSetConfig, seed: Sequence[int]) -> None:
        self.config = config
        self.seed = tuple(seed)
        self.pairs = PhotoPairs(config)
        self._read = _Reader(self.pairs.read, keep=config.cache_images)

    def __getitem__(self, request: PatchRequest) -> Pair:
        scale = self.pairs.scale
        if request.size % scale:
            raise ConfigError(f"gt_size {request.size} is not a multiple of {scale}, the scale of the pairs")
        lq, gt = self.photos(request.index)
        rng = np.random.default_rng([*self.seed, 1, request.index])
        crop = draw_crop(rng, lq.shape[0], lq.shape[1], request.size // scale)
        turn = draw_turn(rng, hflip=self.config.use_hflip, rotate=self.config.use_rot)
        return Pair(to_tensor(turn(crop(lq))), to_tensor(turn(crop(gt, scale))))

    def photos(self, index: int) -> tuple[np.ndarray, np.ndarray]:
        """The degraded and the clean photo that the sample with this index uses, h x w x 3 and H x W x 3 uint8."""
        return self._read(_nth(self.pairs.clean, self.seed, index))


class _Reader(Generic[T]):
    """Reads photos by name and keeps them in memory if ``keep`` is True."""

    def __init__(self, read: Callable[[str], T], *, keep: bool) -> None:
        self._from_disk = read
        self._kept: dict[str, T] | None = {} if keep else None

    def __call__(self, name: str) -> T:
        if self._kept is None:
            return self._from_disk(name)
        if name not in self._kept:
            self._kept[name] = self._from_disk(name)
        return self._kept[name]


def _facts_of(recipe: Recipe) -> TrainingFacts:
    """Scale and channels of a recipe, which it determines by applying itself to test images."""
    with global_seeds(0):
        return TrainingFacts(recipe.scale, recipe.channels)


def _size(shape: Sequence[int]) -> str:
    return f"{shape[2]} x {shape[1]} pixels with {shape[0]} channels"


def _nth(photos: PhotoSource, seed: tuple[int, ...], index: int) -> str:
    """The name of the photo that the sample with this index uses."""
    return photos.names[shuffled_place(seed, index, len(photos.names))]


def shuffled_place(seed: tuple[int, ...], index: int, count: int) -> int:
    """Which of ``count`` things the sample with this index uses: each of them once in every epoch, in random order."""
    epoch, place = divmod(index, count)
    return int(_order(seed, epoch, count)[place])


@lru_cache(maxsize=4)  # a million photos take 30 ms to shuffle, which every sample would pay
def _order(seed: tuple[int, ...], epoch: int, count: int) -> np.ndarray:
    """A random order in which every photo appears once."""
    return np.random.default_rng([*seed, 0, epoch]).permutation(count)
