"""OpenCV's two classical ways to fill holes, as everybody has them, and the membrane our own network starts from.

In: an image H x W x C, RGB or grey, uint8, uint16 or float with white at 1, and a mask; out: the same kind, known
pixels untouched. Telea, "An image inpainting technique based on the fast marching method", 2004; Bertalmio et al.,
"Navier-Stokes, fluid dynamics, and image and video inpainting", CVPR 2001.
"""

from dataclasses import dataclass
from typing import Literal

import cv2
import numpy as np

from diffir.errors import ImageError, UsageError
from diffir.hole_fill import fill_photo
from diffir.pixels import to_float, to_kind

RADIUS = 3  # pixels around a hole that are looked at, as in OpenCV's tutorial
_FLAGS = {"telea": cv2.INPAINT_TELEA, "navier_stokes": cv2.INPAINT_NS}


@dataclass(frozen=True)
class OpenCvInpainting:
    """``cv2.inpaint``: bit for bit on bytes, colour by colour in float on everything deeper."""

    name: Literal["telea", "navier_stokes"]
    scale: int = 1
    has_mask: bool = True

    def restore(self, image: np.ndarray, mask: np.ndarray | None = None) -> np.ndarray:
        """The image with its holes filled.

        Raises:
            UsageError: no mask.
            ImageError: a mask of another size.
        """
        holes = _holes(self.name, image, mask)
        if image.dtype == np.uint8:
            return self._fill(image, holes).reshape(image.shape)  # OpenCV drops a single channel
        # One term of Telea's sum counts grey levels whatever their range: with white at 1 it drowns the image.
        planes = np.moveaxis(to_float(image).astype(np.float32) * 255, 2, 0)
        filled = np.dstack([self._fill(np.ascontiguousarray(plane), holes) for plane in planes])
        return np.where(holes[:, :, None], to_kind(filled / np.float32(255), image.dtype), image)

    def _fill(self, pixels: np.ndarray, holes: np.ndarray) -> np.ndarray:
        return cv2.inpaint(pixels, holes.astype(np.uint8), RADIUS, _FLAGS[self.name])


class Membrane:
    """Each hole spanned by a smooth surface, ``diffir.hole_fill``."""

    name = "membrane"
    scale = 1
    has_mask = True

    def restore(self, image: np.ndarray, mask: np.ndarray | None = None) -> np.ndarray:
        """The image with its holes filled.

        Raises:
            UsageError: no mask.
            ImageError: a mask of another size.
        """
        return fill_photo(image, _holes(self.name, image, mask))


def _holes(name: str, image: np.ndarray, mask: np.ndarray | None) -> np.ndarray:
    """H x W bool."""
    if mask is None:
        raise UsageError(f"{name} fills holes: it needs a mask, above 0 where pixels are missing")
    if mask.shape != image.shape[:2]:
        raise ImageError(f"the mask is {mask.shape} but the image is {image.shape[:2]} (H, W); both must be equal")
    return mask > 0
