"""JPEG and WebP compression by the encoders themselves (libjpeg and libwebp in OpenCV), not by a simulation.

In: one image (1, 3, H, W) float on any device, and its ``Draw``. Out: the same shape in [0, 1], on 8-bit levels. The
encoders run on the CPU; a tensor on another device is copied there and back.
"""

from dataclasses import dataclass
from typing import Annotated, Literal

import cv2
import numpy as np
import torch
from torch import Tensor

from diffir.degradations.draw import Draw
from diffir.errors import ConfigError, ImageError
from diffir.field_ranges import NotEmpty, Within, check_fields

Subsampling = Literal["444", "422", "420", 444, 422, 420]
"""Chroma subsampling of JPEG, as text or as a number, because YAML reads digits without quotes as a number."""
_SAMPLING = {
    "444": cv2.IMWRITE_JPEG_SAMPLING_FACTOR_444,
    "422": cv2.IMWRITE_JPEG_SAMPLING_FACTOR_422,
    "420": cv2.IMWRITE_JPEG_SAMPLING_FACTOR_420,
}


@dataclass(frozen=True)
class JPEG:
    """y = decode(encode(x, quality)): JPEG, its quality drawn from the whole numbers in [low, high], 1 to 100."""

    quality: Annotated[tuple[int, int], Within(1, 100)]
    subsampling: Annotated[tuple[Subsampling, ...], NotEmpty()] = ("420",)
    """Subsampling of the colour channels, of which one is drawn; most software writes 420."""

    def __post_init__(self) -> None:
        check_fields(self)

    def __call__(self, image: Tensor, draw: Draw) -> Tensor:
        settings = [cv2.IMWRITE_JPEG_QUALITY, draw.integer(*self.quality)]
        settings += [cv2.IMWRITE_JPEG_SAMPLING_FACTOR, _SAMPLING[str(draw.choose(self.subsampling))]]
        return _encoded(image, ".jpeg", settings)


@dataclass(frozen=True)
class WebP:
    """y = decode(encode(x, quality)): lossy WebP, its quality drawn from the whole numbers in [low, high], 1 to 100."""

    quality: Annotated[tuple[int, int], Within(1, 100)]

    def __post_init__(self) -> None:
        check_fields(self)

    def __call__(self, image: Tensor, draw: Draw) -> Tensor:
        return _encoded(image, ".webp", [cv2.IMWRITE_WEBP_QUALITY, draw.integer(*self.quality)])


def _encoded(image: Tensor, suffix: str, settings: list[int]) -> Tensor:
    """Encode and decode one image (1, 3, H, W) by OpenCV, which expects BGR in 8 bits."""
    if image.shape[1] != 3:
        raise ConfigError(f"{suffix[1:]} takes 3 channels, got {image.shape[1]}; steps that cut holes come last")
    pixels = (image[0].clamp(0, 1) * 255).round().byte().permute(1, 2, 0).cpu().numpy()
    try:
        _, code = cv2.imencode(suffix, np.ascontiguousarray(pixels[..., ::-1]), settings)
        decoded = cv2.imdecode(code, cv2.IMREAD_COLOR)
    except cv2.error:
        decoded = None
    if decoded is None:  # the longest side is 16383 pixels in WebP and 65500 in JPEG
        raise ImageError(f"{suffix} cannot hold {image.shape[3]} x {image.shape[2]} pixels; crop the photo")
    rgb = torch.from_numpy(np.ascontiguousarray(decoded[..., ::-1]))
    return rgb.permute(2, 0, 1)[None].to(image) / 255
