"""The validation set of an option file: a centred crop of each photo, degraded in the same way in every run.

In: the validation section of an option file, and the degradation recipe if its photos are clean. Out: names and arrays
in memory. The generator is seeded by the number of the photo, so runs with different training seeds validate on the
same images.
"""

from dataclasses import dataclass

import numpy as np

from diffir.config import ValSetConfig
from diffir.data.global_seeds import global_seeds
from diffir.data.mask_set import MaskSet, with_mask
from diffir.data.photo_names import stem_of
from diffir.data.photo_pairs import PhotoPairs
from diffir.data.photo_sources import open_photos, rgb8
from diffir.data.samples import centred_crop, to_tensor
from diffir.degradations.recipes import Recipe
from diffir.errors import ConfigError
from diffir.pixels import to_kind
from diffir.seeds import generator_for

SEED = 2023  # of the validation degradation in every run, so that runs with different seeds can be compared


@dataclass(frozen=True, eq=False)
class ValidationPair:
    """A validation image and its ground truth."""

    name: str
    """Name of the photo without suffix."""
    lq: np.ndarray
    """h x w x C float32 around [0, 1]; C is 4 with a mask."""
    gt: np.ndarray
    """H x W x 3 uint8 RGB, ``scale`` times larger than ``lq``."""


def validation_samples(
    config: ValSetConfig, recipe: Recipe | None, *, multiple_of: int, scale: int
) -> list[ValidationPair]:
    """Read all validation images, and degrade them if they are clean.

    Args:
        recipe: the degradation of clean photos; not used if the section has ``dataroot_lq``.
        multiple_of: the sides of the low-quality images are multiples of this number of pixels.
        scale: scale of the network.

    Raises:
        ConfigError: photos are missing or too small, there is no degradation, or it has another scale.
        PairingError: a photo has no partner.
    """
    if config.dataroot_lq is not None:
        return _pairs(config, multiple_of, scale)
    if recipe is None and config.dataroot_mask is None:
        raise ConfigError(
            "datasets.val: set degradation, dataroot_lq or dataroot_mask, which decide how its photos are degraded"
        )
    return _degraded(config, recipe, multiple_of, scale)


def _pairs(config: ValSetConfig, multiple_of: int, scale: int) -> list[ValidationPair]:
    pairs, samples = PhotoPairs(config), []
    if pairs.scale != scale:
        raise ConfigError(
            f"datasets.val: the pairs in {config.dataroot_gt} have scale {pairs.scale}, the network has {scale}"
        )
    size = None if config.gt_size is None else config.gt_size // scale
    for name in pairs.clean.names:
        lq, gt = pairs.read(name)
        rows, columns = _crop_of(lq, size, multiple_of, name)
        gt = gt[rows.start * scale : rows.stop * scale, columns.start * scale : columns.stop * scale]
        samples.append(ValidationPair(stem_of(name), lq[rows, columns] / np.float32(255), gt))
    return samples


def _degraded(config: ValSetConfig, recipe: Recipe | None, multiple_of: int, scale: int) -> list[ValidationPair]:
    photos = open_photos(
        config.dataroot_gt, "dataroot_gt", meta_info_file=config.meta_info_file, recursive=config.recursive
    )
    masks = MaskSet.from_config(config) if config.dataroot_mask is not None else None
    samples: list[ValidationPair] = []
    for index, name in enumerate(photos.names):
        # Crop the photo and degrade it.
        image = rgb8(photos.read(name))
        gt = image[_crop_of(image, config.gt_size, multiple_of * scale, name)]
        lq = to_tensor(gt)
        if recipe is not None:
            with global_seeds(SEED, index):
                lqs, gts = recipe.pairs(lq[None], generator_for(SEED, index))
            lq, gt = lqs[0], to_kind(gts[0].numpy().transpose(1, 2, 0), np.uint8)
        if lq.shape[1] * scale != gt.shape[0] or lq.shape[2] * scale != gt.shape[1]:
            raise ConfigError(f"datasets.val: the degradation does not downscale by {scale}, the scale of the network")
        # Cut holes.
        if masks is not None:
            lq = with_mask(lq, masks.by_index(index, *lq.shape[1:]))
        if samples and lq.shape[0] != samples[0].lq.shape[2]:
            raise ConfigError(
                f"datasets.val: the degradation makes {lq.shape[0]} channels of {name} and {samples[0].lq.shape[2]} of "
                "the first photo: apply a step that cuts holes always or never"
            )
        samples.append(ValidationPair(stem_of(name), lq.float().numpy().transpose(1, 2, 0), gt))
    return samples


def _crop_of(image: np.ndarray, size: int | None, multiple_of: int, name: str) -> tuple[slice, slice]:
    rows, columns = centred_crop(image.shape[0], image.shape[1], size, multiple_of)
    if rows.start == rows.stop or columns.start == columns.stop:
        raise ConfigError(
            f"{name} is {image.shape[1]} x {image.shape[0]}: too small for validation, or gt_size is; both sides need "
            f"{multiple_of} pixels or more"
        )
    return rows, columns
