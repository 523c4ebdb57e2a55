"""The conventions of a score: colour space, border and rounding of Y. A PSNR can differ by 2 dB between them.

In: an image as stored in its file. Out: the array that metrics compare, float64 on the 8-bit scale. The protocol is
printed with every score (``str(protocol)``).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from diffir.errors import ImageError, UsageError

if TYPE_CHECKING:
    import numpy as np  # imported in functions instead: the task table holds protocols and must load fast

Convention = Literal["basicsr", "matlab"]
CONVENTIONS: tuple[Convention, ...] = ("basicsr", "matlab")

BT601_WEIGHTS = (65.481, 128.553, 24.966)  # divided by 255: ITU-R BT.601 luma (16-235) of R, G, B on the 8-bit scale
BT601_OFFSET = 16.0


@dataclass(frozen=True)
class Protocol:
    """The conventions under which metrics compare two images."""

    crop_border: int = 0
    """Number of pixels of the output that are cut from each side before comparing."""
    test_y_channel: bool = False
    """Compare BT.601 luma (16-235) instead of RGB; an image of one channel is compared as it is."""
    convention: Convention = "basicsr"
    """``basicsr`` keeps Y in floating point; ``matlab`` rounds it to 8 bit as rgb2ycbcr does."""

    def __post_init__(self) -> None:
        if self.crop_border < 0:
            raise UsageError(f"crop_border must be 0 or more pixels, got {self.crop_border}")
        if self.convention not in CONVENTIONS:
            raise UsageError(f"unknown convention {self.convention!r}; known: {', '.join(CONVENTIONS)}")

    def __str__(self) -> str:
        rounding = {"basicsr": "not rounded (basicsr)", "matlab": "rounded to 8 bit (matlab)"}[self.convention]
        colour = f"Y of BT.601 (16-235), {rounding}" if self.test_y_channel else "RGB"
        return f"{colour}, crop_border {self.crop_border}"

    def apply(self, image: np.ndarray, *, data_range: float) -> np.ndarray:
        """Convert an image to the array that metrics compare.

        Args:
            image: H x W or H x W x C, RGB or grey, any dtype; never clipped or rounded here.
            data_range: the value of white: 255 for uint8, 65535 for uint16, 1 for float in [0, 1].

        Returns:
            h x w x c float64 on the 8-bit scale (white is 255), without the border.

        Raises:
            ImageError: the image has neither one nor three channels, or nothing is left inside the border.
        """
        image = image[:, :, None] if image.ndim == 2 else image
        if image.ndim != 3 or image.shape[2] not in (1, 3):
            raise ImageError(f"scores need H x W x 1 or H x W x 3 images, got shape {image.shape}")
        height, width = image.shape[:2]
        border = self.crop_border
        if min(height, width) <= 2 * border:
            raise ImageError(f"nothing is left of a {width} x {height} image without its border of {border} pixels")

        pixels = image[border : height - border, border : width - border] * (255.0 / data_range)
        return luma(pixels, rounded=self.convention == "matlab") if self._takes_luma(pixels) else pixels

    def _takes_luma(self, pixels: np.ndarray) -> bool:
        return self.test_y_channel and pixels.shape[2] == 3


def luma(pixels: np.ndarray, *, rounded: bool) -> np.ndarray:
    """Return the BT.601 luma (16-235), H x W x 1 float64, of RGB pixels H x W x 3 on the 8-bit scale.

    Args:
        rounded: round the luma half up to whole numbers.
    """
    import numpy as np

    y = pixels.astype(np.float64) @ (np.array(BT601_WEIGHTS) / 255) + BT601_OFFSET
    return (np.floor(y + 0.5) if rounded else y)[:, :, None]
