"""Read pairs of clean photos and their degraded partners from disk: paired by name, all of one scale.

In: an option section with ``dataroot_gt`` and ``dataroot_lq``. Out: two arrays H x W x 3 uint8 for a clean photo's
name, the clean one exactly ``scale`` times larger. The clean photo may have up to ``scale - 1`` more rows at the bottom
and columns at the right, as in sets that were downscaled with rounding; they are cut off.
"""

from functools import cached_property

import numpy as np

from diffir.config import PhotosConfig
from diffir.data.photo_names import partners
from diffir.data.photo_sources import open_photos, rgb8
from diffir.errors import PairingError


class PhotoPairs:
    """The pairs that an option section names.

    Attributes:
        clean: the source of the clean photos.
        degraded: the source of their partners.
        partner_of: name in ``clean`` -> name in ``degraded``.
    """

    def __init__(self, config: PhotosConfig) -> None:
        assert config.dataroot_lq is not None
        listed = config.meta_info_file
        self.clean = open_photos(config.dataroot_gt, "dataroot_gt", meta_info_file=listed, recursive=config.recursive)
        self.degraded = open_photos(config.dataroot_lq, "dataroot_lq", recursive=config.recursive or listed is not None)
        self.partner_of = partners(self.clean.names, self.degraded.names, config.filename_tmpl, all_used=listed is None)

    @cached_property
    def scale(self) -> int:
        """Width of a clean photo divided by width of its partner, taken from the first pair and required of all."""
        name = self.clean.names[0]
        gt, lq = rgb8(self.clean.read(name)), rgb8(self.degraded.read(self.partner_of[name]))
        return scale_between(lq.shape, gt.shape, name)

    def read(self, name: str) -> tuple[np.ndarray, np.ndarray]:
        """Read the degraded and the clean photo of a pair, (lq, gt).

        Args:
            name: name of the clean photo.

        Raises:
            PairingError: the clean photo is not a whole number of times larger, or the scale differs from the first.
            ImageError: a file is corrupt.
        """
        gt, lq = rgb8(self.clean.read(name)), rgb8(self.degraded.read(self.partner_of[name]))
        scale = scale_between(lq.shape, gt.shape, name)
        if scale != self.scale:
            raise PairingError(f"{name} is a pair of scale {scale}, {self.clean.names[0]} of {self.scale}; use one")
        return lq, gt[: lq.shape[0] * scale, : lq.shape[1] * scale]


def scale_between(lq: tuple[int, ...], gt: tuple[int, ...], name: str) -> int:
    """The factor by which the clean image is larger.

    Args:
        lq, gt: shapes that start with height and width in pixels.

    Raises:
        PairingError: the factor is not a whole number, or differs between height and width.
    """
    scale = gt[0] // lq[0]
    if scale < 1 or (gt[0] // scale, gt[1] // scale) != (lq[0], lq[1]):
        raise PairingError(
            f"{name} is {gt[1]} x {gt[0]} and its degraded partner {lq[1]} x {lq[0]}: the clean one must be a whole "
            "number of times larger; check the pair with diffir check-data"
        )
    return scale
