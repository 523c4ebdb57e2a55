"""Unsharp masking that leaves flat areas unchanged, as in cameras and for the training photos of Real-ESRGAN.

In: one image (1, C, H, W) float around [0, 1], any device, and its ``Draw``. Out: the same shape; sharpened pixels lie
in [0, 1].
"""

from dataclasses import dataclass
from typing import Annotated

from torch import Tensor

from diffir.degradations.draw import Draw
from diffir.degradations.shapes.convolution import filter_separable, gaussian_weights
from diffir.field_ranges import Within, check_fields


@dataclass(frozen=True)
class USMSharpen:
    """y = (1 - m) x + m clip(x + weight (x - b)), b = g * x, m = g * [255 |x - b| > threshold], g a Gaussian.

    Wang et al., "Real-ESRGAN", ICCVW 2021: weight 0.5, radius 50, threshold 10.
    """

    weight: Annotated[tuple[float, float], Within(0, 10)] = (0.5, 0.5)
    """Factor on the detail that is added to the image."""
    radius: Annotated[int, Within(3, 500)] = 50
    """Side of the Gaussian in pixels, rounded up to odd; its sigma is 0.3 (side / 2 - 1.5) + 0.8, OpenCV's rule."""
    threshold: Annotated[float, Within(0, 255)] = 10.0
    """Smallest detail that is sharpened, in 1/255; weaker detail is treated as noise."""

    def __post_init__(self) -> None:
        check_fields(self)

    def __call__(self, image: Tensor, draw: Draw) -> Tensor:
        size = self.radius + 1 - self.radius % 2
        gaussian = gaussian_weights(0.3 * (size / 2 - 1.5) + 0.8, size)
        # The mask selects strong detail; it is smoothed so that its borders do not show.
        detail = image - filter_separable(image, gaussian)
        mask = filter_separable((detail.abs() * 255 > self.threshold).to(image), gaussian)
        sharp = (image + draw.uniform(*self.weight) * detail).clamp(0, 1)
        return mask * sharp + (1 - mask) * image
