"""Clean photos and their damaged partners from disk: joined by name, of one scale, cut to each other.

In: an option section with ``dataroot_gt`` and ``dataroot_lq``. Out: by a clean photo's name, two arrays H x W x 3
uint8, the clean one exactly ``scale`` times larger. Up to ``scale - 1`` rows and columns may hang over at the bottom
and at the right, as where a set was shrunk after cutting; they are cut off.
"""

from functools import cached_property

import numpy as np

from diffir.config import PhotosConfig
from diffir.data.photo_names import partners
from diffir.data.photo_sources import open_photos, rgb8
from diffir.errors import PairingError


class PhotoPairs:
    """Pairs of an option section.

    Attributes:
        clean: the source of the clean photos.
        damaged: the source of their partners.
        partner_of: name in ``clean`` -> name in ``damaged``.
    """

    def __init__(self, config: PhotosConfig) -> None:
        assert config.dataroot_lq is not None
        listed = config.meta_info_file
        self.clean = open_photos(config.dataroot_gt, "dataroot_gt", meta_info_file=listed, recursive=config.recursive)
        self.damaged = open_photos(config.dataroot_lq, "dataroot_lq", recursive=config.recursive or listed is not None)
        self.partner_of = partners(self.clean.names, self.damaged.names, config.filename_tmpl, all_used=listed is None)

    @cached_property
    def scale(self) -> int:
        """Of the first pair, hence of all."""
        name = self.clean.names[0]
        gt, lq = rgb8(self.clean.read(name)), rgb8(self.damaged.read(self.partner_of[name]))
        return scale_between(lq.shape, gt.shape, name)

    def read(self, name: str) -> tuple[np.ndarray, np.ndarray]:
        """Damaged and clean image of a name.

        Raises:
            PairingError: sizes that are no whole multiple, or another one than in the first pair.
            ImageError: a damaged file.
        """
        gt, lq = rgb8(self.clean.read(name)), rgb8(self.damaged.read(self.partner_of[name]))
        scale = scale_between(lq.shape, gt.shape, name)
        if scale != self.scale:
            raise PairingError(f"{name} is a pair of scale {scale}, {self.clean.names[0]} of {self.scale}; use one")
        return lq, gt[: lq.shape[0] * scale, : lq.shape[1] * scale]


def scale_between(lq: tuple[int, ...], gt: tuple[int, ...], name: str) -> int:
    """How many times larger the clean image is.

    Args:
        lq, gt: height and width, and what follows.

    Raises:
        PairingError: no whole number of times, or another one in height than in width.
    """
    scale = gt[0] // lq[0]
    if scale < 1 or (gt[0] // scale, gt[1] // scale) != (lq[0], lq[1]):
        raise PairingError(
            f"{name} is {gt[1]} x {gt[0]} and its damaged partner {lq[1]} x {lq[0]}: the clean one must be a whole "
            "number of times larger; check the pair with diffir check-data"
        )
    return scale
