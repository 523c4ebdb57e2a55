"""The conventions behind a score; without them a PSNR in this field may be off by 2 dB.

Decided here: colour space, border, rounding of Y. Printed with every number (``str(protocol)``).
"""

from dataclasses import dataclass
from typing import Literal

Convention = Literal["basicsr", "matlab"]


@dataclass(frozen=True)
class Protocol:
    """How PSNR and SSIM are taken."""

    crop_border: int = 0
    """Pixels of the output cut from each side before comparing."""
    test_y_channel: bool = False
    """Compare BT.601 luma (16-235) instead of RGB."""
    convention: Convention = "basicsr"
    """``basicsr`` keeps Y in floating point; ``matlab`` rounds it to 8 bit as rgb2ycbcr does."""

    def __str__(self) -> str:
        colour = f"Y ({self.convention})" if self.test_y_channel else "RGB"
        return f"{colour}, crop_border {self.crop_border}"
