"""The validation set of an option file: the middle of each photo, damaged once, the same in every run.

In: the validation section of an option file, and the recipe where its photos are not damaged already. Out: names and
arrays, in memory. The generator is that of the photo's number, so another training seed validates on the same damage.
"""

from dataclasses import dataclass

import numpy as np

from diffir.config import ValSetConfig
from diffir.data.global_seeds import global_seeds
from diffir.data.masks import Masks, with_mask
from diffir.data.photo_names import stem_of
from diffir.data.photo_pairs import PhotoPairs
from diffir.data.photo_sources import open_photos, rgb8
from diffir.data.samples import middle_cut, to_tensor
from diffir.degradations.recipes import Recipe
from diffir.errors import ConfigError
from diffir.seeds import generator_for

SEED = 2023  # of every run's validation damage, so that runs of different seeds can be compared


@dataclass(frozen=True, eq=False)
class ValidationPair:
    """One validation image."""

    name: str
    lq: np.ndarray
    """h x w x C float32 around [0, 1]; C is 4 with a mask."""
    gt: np.ndarray
    """H x W x 3 uint8, ``scale`` times larger."""


def validation_samples(
    config: ValSetConfig, recipe: Recipe | None, *, multiple_of: int, scale: int
) -> list[ValidationPair]:
    """All samples, damaged.

    Args:
        recipe: what damages the photos; not asked where the section has ``dataroot_lq``.
        multiple_of: what sides of the low-quality image must be multiples of.
        scale: of the network.

    Raises:
        ConfigError: photos that are missing or too small, no damage at all, or damage of another scale.
        PairingError: a photo without partner.
    """
    if config.dataroot_lq is not None:
        return _pairs(config, multiple_of, scale)
    if recipe is None and config.dataroot_mask is None:
        raise ConfigError("datasets.val: say how its photos are damaged: degradation, dataroot_lq or dataroot_mask")
    return _damaged(config, recipe, multiple_of, scale)


def _pairs(config: ValSetConfig, multiple_of: int, scale: int) -> list[ValidationPair]:
    pairs, samples = PhotoPairs(config), []
    if pairs.scale != scale:
        raise ConfigError(
            f"datasets.val: pairs of scale {pairs.scale} in {config.dataroot_gt}, the network has {scale}"
        )
    size = None if config.gt_size is None else config.gt_size // scale
    for name in pairs.clean.names:
        lq, gt = pairs.read(name)
        rows, columns = _middle(lq, size, multiple_of, name)
        gt = gt[rows.start * scale : rows.stop * scale, columns.start * scale : columns.stop * scale]
        samples.append(ValidationPair(stem_of(name), lq[rows, columns] / np.float32(255), gt))
    return samples


def _damaged(config: ValSetConfig, recipe: Recipe | None, multiple_of: int, scale: int) -> list[ValidationPair]:
    photos = open_photos(
        config.dataroot_gt, "dataroot_gt", meta_info_file=config.meta_info_file, recursive=config.recursive
    )
    masks = Masks.of(config) if config.dataroot_mask is not None else None
    samples: list[ValidationPair] = []
    for index, name in enumerate(photos.names):
        image = rgb8(photos.read(name))
        gt = image[_middle(image, config.gt_size, multiple_of * scale, name)]
        lq = to_tensor(gt)
        if recipe is not None:
            with global_seeds(SEED, index):
                lq = recipe(lq[None], generator_for(SEED, index))[0]
        if lq.shape[1] * scale != gt.shape[0] or lq.shape[2] * scale != gt.shape[1]:
            raise ConfigError(f"datasets.val: the degradation does not shrink by {scale}, the scale of the network")
        if masks is not None:
            lq = with_mask(lq, masks.numbered(index, *lq.shape[1:]))
        if samples and lq.shape[0] != samples[0].lq.shape[2]:
            raise ConfigError(
                f"datasets.val: the degradation makes {lq.shape[0]} channels of {name} and {samples[0].lq.shape[2]} of "
                "the first photo: let holes be cut always or never"
            )
        samples.append(ValidationPair(stem_of(name), lq.float().numpy().transpose(1, 2, 0), gt))
    return samples


def _middle(image: np.ndarray, size: int | None, multiple_of: int, name: str) -> tuple[slice, slice]:
    rows, columns = middle_cut(image.shape[0], image.shape[1], size, multiple_of)
    if rows.start == rows.stop or columns.start == columns.stop:
        raise ConfigError(
            f"{name} is {image.shape[1]} x {image.shape[0]}: too small to validate on, or gt_size is; both sides need "
            f"{multiple_of} pixels or more"
        )
    return rows, columns
