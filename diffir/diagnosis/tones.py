"""Tones of a whole photo: how bright white is, how dark black is, how much veils it, and which colour its light has.

In: the whole photo, shrunk, h x w x 3 float32 on the 8-bit scale. Out: numbers on that scale; a colour cast in stops.
"""

from typing import NamedTuple

import cv2
import numpy as np

from diffir.diagnosis.views import LUMA

_PATCH = 15  # pixels a side of the patches of the dark channel; He et al. take 15 in larger images
_AROUND = 0.025  # sigma by the longer side: detail and small lights are no region
_NORM = 6  # of the shades of grey and of the grey edge, as their authors recommend
_AGREEMENT = 0.7  # cosine between the casts that the two methods find, below which there is none


class Tones(NamedTuple):
    """Extremes of the tones; shares of the pixels are a hundredth at each end."""

    white: float
    """Brightness that a hundredth of the pixels exceeds."""
    black: float
    """Value that all but a hundredth of the pixels exceed, in the channel where it is lowest."""
    white_red: float
    """Value that a hundredth of the pixels exceeds in red."""
    white_blue: float
    """Value that a hundredth of the pixels exceeds in blue."""


def tones_of(whole: np.ndarray) -> Tones:
    """Read the extremes of the tones from the histogram."""
    black = np.quantile(whole, 0.01, axis=(0, 1)).min()
    white_red, _, white_blue = np.quantile(whole, 0.99, axis=(0, 1))
    return Tones(float(np.quantile(whole @ LUMA, 0.99)), float(black), float(white_red), float(white_blue))


def shadow_and_light(whole: np.ndarray) -> tuple[float, float]:
    """Brightness below which a quarter of the photo lies, and above which a tenth does, detail smoothed away.

    Both are extreme where something dark stands before something bright.
    """
    smooth = cv2.GaussianBlur(whole @ LUMA, (0, 0), max(_AROUND * max(whole.shape), 0.1))
    shadow, light = np.quantile(smooth, (0.25, 0.9))
    return float(shadow), float(light)


def veil(whole: np.ndarray) -> float:
    """Median of the dark channel: the lowest value of each patch in any colour, which haze lifts everywhere.

    K. He, J. Sun, X. Tang, "Single image haze removal using dark channel prior", CVPR 2009, eq. 5.
    """
    return float(np.median(cv2.erode(whole.min(axis=2), np.ones((_PATCH, _PATCH)))))


def colour_cast(whole: np.ndarray) -> float:
    """Distance between the strongest and the weakest colour of the light in stops; 0 if two methods disagree.

    Shades of grey (Finlayson, Trezzi, CIC 2004) takes the mean of the colours, grey edge (van de Weijer, Gevers,
    Gijsenij, TIP 2007) that of the edges. Coloured subjects deceive either, and more rarely both in the same direction.
    """
    smooth = cv2.GaussianBlur(whole, (0, 0), 1.0)
    edges = np.hypot(cv2.Sobel(smooth, -1, 1, 0), cv2.Sobel(smooth, -1, 0, 1))
    casts = []
    for values in (whole, edges):
        light = np.mean(values.astype(np.float64) ** _NORM, axis=(0, 1)) ** (1 / _NORM)
        casts.append(np.log2(np.maximum(light, 1e-6) / max(light.mean(), 1e-6)))
    lengths = [np.linalg.norm(cast) for cast in casts]
    if casts[0] @ casts[1] <= _AGREEMENT * lengths[0] * lengths[1]:
        return 0.0
    return float(min(np.ptp(cast) for cast in casts))
