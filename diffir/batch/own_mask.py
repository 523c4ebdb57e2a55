"""Masks that a photo brings along: its transparent parts, or the dust that the infrared channel of a film scan shows.

In: a photo. Out: the photo as it is to be restored, and a mask (H, W), above 0 where pixels are missing.
"""

from dataclasses import replace
from typing import Literal

import cv2
import numpy as np

from diffir.errors import ImageError
from diffir.image_io import Photo
from diffir.pixels import to_float, white

MaskKind = Literal["alpha", "infrared"]
MASK_KINDS: tuple[MaskKind, ...] = ("alpha", "infrared")
# Film lets infrared light pass, dust and scratches do not. The values are a matter of taste and were not measured.
_DUST_SIDE = 31  # pixels; wider dark spots count as part of the picture
_DUST_DARKNESS = 0.85  # share of the brightness around it below which a pixel is dust


def own_mask_kind(mask: object) -> MaskKind | None:
    """Return the kind of a mask that is named instead of given; None for every other mask."""
    return next((kind for kind in MASK_KINDS if isinstance(mask, str) and mask == kind), None)


def take_mask(photo: Photo, kind: MaskKind) -> tuple[Photo, np.ndarray]:
    """Return the photo and the mask that it brings along; with ``alpha`` the photo becomes opaque.

    Raises:
        ImageError: the photo has no such channel.
    """
    if kind == "alpha":
        if photo.alpha is None:
            raise ImageError("it has no alpha, so nothing says what is missing: give a mask file")
        return replace(photo, alpha=None), photo.alpha < white(photo.alpha.dtype)
    if photo.infrared is None:
        raise ImageError("it has no infrared channel: give a mask file")
    light = to_float(photo.infrared).astype(np.float32)
    window = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (_DUST_SIDE, _DUST_SIDE))
    around = cv2.morphologyEx(light, cv2.MORPH_CLOSE, window)
    return photo, light < _DUST_DARKNESS * around
