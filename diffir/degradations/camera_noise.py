"""The noise of a developed photo: noise of the sensor, smoothed by the demosaicing and denoising of the camera.

In: one image (1, 3, H, W) float around [0, 1], sRGB, any device, and its ``Draw``. Out: the same shape in [0, 1].
Laws: the variance of a sensor's noise is linear in the light (Foi et al., TIP 2008; figures of cameras: Brooks et al.,
"Unprocessing", CVPR 2019); a Bayer sensor measures one colour per pixel, so the noise of neighbours is correlated.
"""

import math
from dataclasses import dataclass
from typing import Annotated

import numpy as np
import torch
from torch import Tensor

from diffir.degradations.draw import Draw
from diffir.degradations.shapes.convolution import filter2d, filter_separable, gaussian_weights
from diffir.degradations.shapes.srgb import to_linear, to_srgb
from diffir.field_ranges import Within, check_fields

_FILL_GREEN = np.array([[0, 1, 0], [1, 4, 1], [0, 1, 0]]) / 4
_FILL_RED_BLUE = np.array([[1, 2, 1], [2, 4, 2], [1, 2, 1]]) / 4
_GREEN_VARIANCE, _RED_BLUE_VARIANCE = 5 / 8, 9 / 16  # mean variance after bilinear interpolation


@dataclass(frozen=True)
class CameraNoise:
    """y = srgb(l + s w), l = linear(x), s^2 = l / N + (read / N)^2, w correlated noise of variance 1.

    w is drawn on a Bayer mosaic and interpolated to three colours; then its grey part and its colour part are smoothed
    separately. Smoothing keeps the variance: it makes the noise coarser, not weaker.
    """

    electrons: Annotated[tuple[float, float], Within(10, 1e6)] = (200.0, 10000.0)
    """N: electrons of a white pixel, drawn on a log scale; 200 is a phone by night, 10000 a camera by day."""
    read: Annotated[tuple[float, float], Within(0, 1000)] = (0.5, 3.0)
    """Standard deviation of the noise of the amplifier, in electrons."""
    grain: Annotated[tuple[float, float], Within(0, 20)] = (0.0, 0.8)
    """Standard deviation in pixels of the Gaussian that smooths the grey part."""
    chroma_grain: Annotated[tuple[float, float], Within(0, 20)] = (0.0, 2.0)
    """Standard deviation in pixels of the Gaussian that smooths the colour part; cameras smooth colour more."""
    chroma: Annotated[tuple[float, float], Within(0, 10)] = (0.2, 1.0)
    """Factor on the colour part: 1 is the noise of the sensor, less is noise that the camera has reduced."""

    def __post_init__(self) -> None:
        check_fields(self)

    def __call__(self, image: Tensor, draw: Draw) -> Tensor:
        # Draw the parameters of this photo.
        low, high = self.electrons
        white = low * (high / low) ** draw.uniform(0, 1)
        read, grain, chroma_grain, chroma = (
            draw.uniform(*given) for given in (self.read, self.grain, self.chroma_grain, self.chroma)
        )
        # Add the noise in linear light, where its variance follows the law of the sensor.
        light = to_linear(image)
        noise = _smooth_parts(_mosaic_noise(light, draw), grain, chroma_grain, chroma)
        return to_srgb(light + (light / white + (read / white) ** 2).sqrt() * noise)


def _mosaic_noise(light: Tensor, draw: Draw) -> Tensor:
    """Draw noise (1, 3, H, W) of variance 1: white on a Bayer mosaic, the missing colours interpolated."""
    height, width = light.shape[2:]
    # Lay the mosaic over the photo, with a random one of its four pixels in the corner.
    rows = torch.arange(height)[:, None] + draw.integer(0, 1)
    columns = torch.arange(width)[None, :] + draw.integer(0, 1)
    sites = [(rows % 2 == 0) & (columns % 2 == 0), (rows + columns) % 2 == 1, (rows % 2 == 1) & (columns % 2 == 1)]
    measured = draw.normal(1, 1, height, width)
    red, green, blue = ((measured * site).to(light) for site in sites)
    # Interpolate bilinearly, and bring each colour back to variance 1.
    others = filter2d(torch.cat([red, blue]), _FILL_RED_BLUE) / math.sqrt(_RED_BLUE_VARIANCE)
    green = filter2d(green, _FILL_GREEN) / math.sqrt(_GREEN_VARIANCE)
    return torch.cat([others[:1], green, others[1:]], dim=1)


def _smooth_parts(noise: Tensor, grain: float, chroma_grain: float, chroma: float) -> Tensor:
    """Smooth the grey and the colour part separately, each with its variance kept; scale colour by ``chroma``.

    Grey is the mean of the three channels: it is uncorrelated with the rest, so that the variances add up. The
    luminance of BT.709 would not be.
    """
    grey = noise.mean(dim=1, keepdim=True)
    return _smoothed(grey, grain) + chroma * _smoothed(noise - grey, chroma_grain)


def _smoothed(noise: Tensor, sigma: float) -> Tensor:
    if sigma < 0.2:  # pixels; a Gaussian so narrow is a single pixel
        return noise
    smoothed = filter_separable(noise, gaussian_weights(sigma))
    return smoothed * (noise.square().mean() / smoothed.square().mean().clamp(min=1e-12)).sqrt()
