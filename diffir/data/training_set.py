"""The training set of an option file: which photo, patch, turn, mask and damage a sample is, by its number alone.

Sample i of a run depends on the seed and on i: not on workers, not on what was read before. So a resumed run sees
exactly what an uninterrupted one would have, without any saved position. Every photo is used once before any is used
again. Streams of a seed: 0 the order of an epoch, 1 cut and turn, 2 the recipe, 3 global generators, 4 the mask.
"""

from collections.abc import Callable, Sequence
from functools import lru_cache
from typing import Generic, NamedTuple, TypeVar

import numpy as np
import torch
from torch.utils.data import Dataset

from diffir.config import TrainSetConfig
from diffir.data.batch_plan import PatchRequest
from diffir.data.global_seeds import global_seeds
from diffir.data.masks import Masks, with_mask
from diffir.data.photo_pairs import PhotoPairs
from diffir.data.photo_sources import PhotoSource, open_photos, rgb8
from diffir.data.samples import Pair, draw_cut, draw_turn, to_tensor
from diffir.degradations.recipes import Recipe, build_recipe
from diffir.errors import ConfigError
from diffir.seeds import generator_for
from diffir.systems.diffir.settings import ArchSettings

T = TypeVar("T")


class TrainingFacts(NamedTuple):
    """What a network must be to learn from a training set."""

    scale: int
    """Sides of the clean image by sides of the low-quality one."""
    channels: int
    """Of the low-quality image: 3, or 4 with a mask."""

    def check(self, settings: ArchSettings, *, network: str, pairs: str) -> None:
        """Refuse a network that cannot learn from these pairs; the two names stand in the message.

        Raises:
            ConfigError: another scale or other channels.
        """
        if self != (settings.scale, settings.in_channels):
            raise ConfigError(
                f"{network} enlarges x{settings.scale} and takes {settings.in_channels} channels; {pairs} "
                f"x{self.scale} with {self.channels} channels (4: RGB and a mask)"
            )


def open_training_set(config: TrainSetConfig, *, seed: Sequence[int]) -> Dataset[Pair]:
    """Samples by ``PatchRequest``: clean photos damaged by a recipe, masked ones, or pairs from disk.

    Raises:
        ConfigError: photos, partners or masks that are not there, or a recipe that cannot be.
        PairingError: a photo without partner.
        MissingDependency: an LMDB, and the package for it is not installed.
    """
    if config.dataroot_lq is not None:
        return PairedPatches(config, seed)
    return DamagedPatches(config, seed)


def training_facts(config: TrainSetConfig) -> TrainingFacts:
    """Scale and channels, from the first pair or from the recipe; raises as ``open_training_set`` does."""
    if config.dataroot_lq is not None:
        return TrainingFacts(PhotoPairs(config).scale, 3)
    if config.dataroot_mask is not None:
        return TrainingFacts(1, 4)
    return _facts_of(build_recipe(config.degradation))


class DamagedPatches(Dataset[Pair]):
    """Random patches of clean photos, mirrored and turned, and what a recipe or a mask makes of them."""

    def __init__(self, config: TrainSetConfig, seed: Sequence[int]) -> None:
        self.config = config
        self.seed = tuple(seed)
        self.photos = open_photos(
            config.dataroot_gt, "dataroot_gt", meta_info_file=config.meta_info_file, recursive=config.recursive
        )
        self.recipe = build_recipe(config.degradation) if config.degradation else None
        self.facts = _facts_of(self.recipe) if self.recipe is not None else TrainingFacts(1, 3)
        self.masks = Masks.of(config) if config.dataroot_mask is not None else None
        self._read = _Reader(self._rgb, keep=config.cache_images)

    def __getitem__(self, request: PatchRequest) -> Pair:
        image = self._read(_nth(self.photos, self.seed, request.index))
        rng = np.random.default_rng([*self.seed, 1, request.index])
        cut = draw_cut(rng, image.shape[0], image.shape[1], request.size)
        turn = draw_turn(rng, hflip=self.config.use_hflip, rotate=self.config.use_rot)
        gt = to_tensor(turn(cut(image)))
        lq = gt if self.recipe is None else self._damaged(self.recipe, gt, request.index)
        if self.masks is None:
            return Pair(lq, gt)
        if lq.shape != gt.shape:
            raise ConfigError("dataroot_mask needs a degradation that keeps size and channels; drop one of the two")
        rng = np.random.default_rng([*self.seed, 4, request.index])
        mask = self.masks.drawn(
            rng, request.size, request.size, hflip=self.config.use_hflip, rotate=self.config.use_rot
        )
        return Pair(with_mask(lq, mask), gt)

    def _rgb(self, name: str) -> np.ndarray:
        return rgb8(self.photos.read(name))

    def _damaged(self, recipe: Recipe, gt: torch.Tensor, index: int) -> torch.Tensor:
        with global_seeds(*self.seed, 3, index):
            lq = recipe(gt[None], generator_for(*self.seed, 2, index))[0]
        scale, channels = self.facts
        usual = (channels, gt.shape[1] // scale, gt.shape[2] // scale)
        if lq.shape != usual:  # the facts come from a few trials, which what happens rarely escapes
            raise ConfigError(
                f"sample {index}: {recipe.name} made {_size(lq.shape)} of {_size(gt.shape)}, and otherwise makes "
                f"{_size(usual)}: all samples must be alike; end with resize_back, and let holes be cut always or never"
            )
        return lq


class PairedPatches(Dataset[Pair]):
    """Random patches of clean photos and the same places of their damaged partners."""

    def __init__(self, config: TrainSetConfig, seed: Sequence[int]) -> None:
        self.config = config
        self.seed = tuple(seed)
        self.pairs = PhotoPairs(config)
        self._read = _Reader(self.pairs.read, keep=config.cache_images)

    def __getitem__(self, request: PatchRequest) -> Pair:
        scale = self.pairs.scale
        if request.size % scale:
            raise ConfigError(f"gt_size {request.size} is not a multiple of {scale}, the scale of the pairs")
        lq, gt = self._read(_nth(self.pairs.clean, self.seed, request.index))
        rng = np.random.default_rng([*self.seed, 1, request.index])
        cut = draw_cut(rng, lq.shape[0], lq.shape[1], request.size // scale)
        turn = draw_turn(rng, hflip=self.config.use_hflip, rotate=self.config.use_rot)
        return Pair(to_tensor(turn(cut(lq))), to_tensor(turn(cut(gt, scale))))


class _Reader(Generic[T]):
    """Reads photos by name and, if asked, keeps them in memory."""

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
    """Found by trial, once a recipe."""
    with global_seeds(0):
        return TrainingFacts(recipe.scale, recipe.channels)


def _size(shape: Sequence[int]) -> str:
    return f"{shape[2]} x {shape[1]} pixels with {shape[0]} channels"


def _nth(photos: PhotoSource, seed: tuple[int, ...], index: int) -> str:
    """The photo of a sample."""
    epoch, place = divmod(index, len(photos.names))
    return photos.names[_order(seed, epoch, len(photos.names))[place]]


@lru_cache(maxsize=4)  # a million photos take 30 ms to shuffle, which every sample would pay
def _order(seed: tuple[int, ...], epoch: int, count: int) -> np.ndarray:
    """All photos once, shuffled."""
    return np.random.default_rng([*seed, 0, epoch]).permutation(count)
