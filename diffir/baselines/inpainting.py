"""Baselines that fill holes: OpenCV's two classical methods, and the smooth filling that DiffIR inpainting starts from.

In: an image H x W x C, RGB or grey, uint8, uint16 or float with white at 1, and a mask. Out: an image of the same dtype
with known pixels unchanged. Telea, "An image inpainting technique based on the fast marching method", 2004; Bertalmio
et al., "Navier-Stokes, fluid dynamics, and image and video inpainting", CVPR 2001.
"""

from dataclasses import dataclass
from typing import Literal

import cv2
import numpy as np

from diffir.errors import ImageError, UsageError
from diffir.hole_fill import fill_photo
from diffir.pixels import to_float, to_kind

RADIUS = 3  # pixels around a hole that are used to fill it, as in OpenCV's tutorial
_FLAGS = {"telea": cv2.INPAINT_TELEA, "navier_stokes": cv2.INPAINT_NS}


@dataclass(frozen=True)
class OpenCvInpainting:
    """``cv2.inpaint``: uint8 images are passed on unchanged, deeper ones are filled channel by channel in float."""

    name: Literal["telea", "navier_stokes"]
    scale: int = 1
    has_mask: bool = True

    def restore(self, image: np.ndarray, mask: np.ndarray | None = None) -> np.ndarray:
        """Return the image with its holes filled.

        Raises:
            UsageError: no mask is given.
            ImageError: the mask has another size than the image.
        """
        holes = _holes(self.name, image, mask)
        if image.dtype == np.uint8:
            return self._fill(image, holes).reshape(image.shape)  # OpenCV drops a single channel
        # One term of Telea's sum depends on absolute grey levels: with white at 1 it would outweigh the image.
        planes = np.moveaxis(to_float(image).astype(np.float32) * 255, 2, 0)
        filled = np.dstack([self._fill(np.ascontiguousarray(plane), holes) for plane in planes])
        return np.where(holes[:, :, None], to_kind(filled / np.float32(255), image.dtype), image)

    def _fill(self, pixels: np.ndarray, holes: np.ndarray) -> np.ndarray:
        return cv2.inpaint(pixels, holes.astype(np.uint8), RADIUS, _FLAGS[self.name])


class Membrane:
    """Fill each hole with a smooth surface (harmonic interpolation of its border), see ``diffir.hole_fill``."""

    name = "membrane"
    scale = 1
    has_mask = True

    def restore(self, image: np.ndarray, mask: np.ndarray | None = None) -> np.ndarray:
        """Return the image with its holes filled.

        Raises:
            UsageError: no mask is given.
            ImageError: the mask has another size than the image.
        """
        return fill_photo(image, _holes(self.name, image, mask))


def _holes(name: str, image: np.ndarray, mask: np.ndarray | None) -> np.ndarray:
    """Check the mask and return it as H x W bool, True where pixels are missing."""
    if mask is None:
        raise UsageError(f"{name} fills holes: it needs a mask, above 0 where pixels are missing")
    if mask.shape != image.shape[:2]:
        raise ImageError(f"the mask is {mask.shape} but the image is {image.shape[:2]} (H, W); both must be equal")
    return mask > 0
