"""The noise of a developed photo: a sensor's, then smeared by the demosaicing and denoising of the camera.

In: one image (1, 3, H, W) float around [0, 1], sRGB, any device, and its ``Draw``. Out: the same shape in [0, 1].
Laws: the variance of a sensor's noise is linear in the light (Foi et al., TIP 2008; figures of cameras: Brooks et al.,
"Unprocessing", CVPR 2019); a Bayer sensor measures one colour a pixel, so noise of neighbours is alike.
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
_GREEN_VARIANCE, _RED_BLUE_VARIANCE = 5 / 8, 9 / 16  # mean over the pixels of a bilinear interpolation


@dataclass(frozen=True)
class CameraNoise:
    """y = srgb(l + s w), l = linear(x), s^2 = l / N + (read / N)^2, w correlated noise of variance 1.

    w is drawn on a Bayer mosaic, interpolated to three colours, and smeared apart in grey and colour. The variance
    is that of the result: stronger smearing makes coarser noise, not weaker one.
    """

    electrons: Annotated[tuple[float, float], Within(10, 1e6)] = (200.0, 10000.0)
    """N: electrons of a white pixel; 200 a telephone by night, 10000 a camera by day. Drawn on a log scale."""
    read: Annotated[tuple[float, float], Within(0, 1000)] = (0.5, 3.0)
    """Of the amplifier, in electrons."""
    grain: Annotated[tuple[float, float], Within(0, 20)] = (0.0, 0.8)
    """sigma in pixels by which grey noise is smeared."""
    chroma_grain: Annotated[tuple[float, float], Within(0, 20)] = (0.0, 2.0)
    """sigma in pixels by which colour noise is smeared; cameras smear it more."""
    chroma: Annotated[tuple[float, float], Within(0, 10)] = (0.2, 1.0)
    """Strength of colour noise; 1 is what the sensor gives, less what cameras leave of it."""

    def __post_init__(self) -> None:
        check_fields(self)

    def __call__(self, image: Tensor, draw: Draw) -> Tensor:
        low, high = self.electrons
        white = low * (high / low) ** draw.uniform(0, 1)
        read, grain, chroma_grain, chroma = (
            draw.uniform(*given) for given in (self.read, self.grain, self.chroma_grain, self.chroma)
        )
        light = to_linear(image)
        noise = _split(_mosaic_noise(light, draw), grain, chroma_grain, chroma)
        return to_srgb(light + (light / white + (read / white) ** 2).sqrt() * noise)


def _mosaic_noise(light: Tensor, draw: Draw) -> Tensor:
    """(1, 3, H, W) of variance 1: white noise on a Bayer mosaic, the missing colours interpolated."""
    height, width = light.shape[2:]
    rows = torch.arange(height)[:, None] + draw.integer(0, 1)
    columns = torch.arange(width)[None, :] + draw.integer(0, 1)
    sites = [(rows % 2 == 0) & (columns % 2 == 0), (rows + columns) % 2 == 1, (rows % 2 == 1) & (columns % 2 == 1)]
    measured = draw.normal(1, 1, height, width)
    red, green, blue = ((measured * site).to(light) for site in sites)
    others = filter2d(torch.cat([red, blue]), _FILL_RED_BLUE) / math.sqrt(_RED_BLUE_VARIANCE)
    green = filter2d(green, _FILL_GREEN) / math.sqrt(_GREEN_VARIANCE)
    return torch.cat([others[:1], green, others[1:]], dim=1)


def _split(noise: Tensor, grain: float, chroma_grain: float, chroma: float) -> Tensor:
    """Grey and colour smeared apart, each as strong afterwards as before; colour times ``chroma``.

    Grey is the mean of the three, which is uncorrelated with the rest; so variances add up. BT.709's luminance is not.
    """
    grey = noise.mean(dim=1, keepdim=True)
    return _smeared(grey, grain) + chroma * _smeared(noise - grey, chroma_grain)


def _smeared(noise: Tensor, sigma: float) -> Tensor:
    if sigma < 0.2:  # pixels; a bell so narrow is a single pixel
        return noise
    smeared = filter_separable(noise, gaussian_weights(sigma))
    return smeared * (noise.square().mean() / smeared.square().mean().clamp(min=1e-12)).sqrt()
