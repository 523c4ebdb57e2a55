"""Blur kernels: float64 arrays (S, S), S odd, that add up to one.

With q(x, y) = (x, y) C^-1 (x, y)^T and C the covariance of two axes sigma_1, sigma_2 turned by an angle, the three
families of Wang et al., "Real-ESRGAN", ICCVW 2021 are exp(-q/2), exp(-q^beta / 2) (generalised) and 1 / (1 + q^beta)
(plateau); sinc is the ideal low-pass filter whose ringing sharpened photos show.
"""

import math
from typing import Literal

import numpy as np
from scipy.special import j1

Family = Literal["gaussian", "generalized", "plateau"]


def bell_kernel(
    size: int, sigma: tuple[float, float], angle: float = 0.0, *, family: Family = "gaussian", beta: float = 1.0
) -> np.ndarray:
    """A kernel with a single peak.

    Args:
        size: side in pixels, odd.
        sigma: standard deviations along the two axes, in pixels; equal ones make it isotropic.
        angle: turn of the first axis against x, in radians.
        beta: exponent of the generalised and plateau families; below 1 sharper, above 1 flatter than Gaussian.
    """
    turn = np.array([[math.cos(angle), -math.sin(angle)], [math.sin(angle), math.cos(angle)]])
    inverse = turn @ np.diag(1 / np.square(np.asarray(sigma, dtype=np.float64))) @ turn.T
    x, y = _grid(size)
    q = inverse[0, 0] * x * x + 2 * inverse[0, 1] * x * y + inverse[1, 1] * y * y
    if family == "plateau":
        kernel = 1 / (1 + q**beta)
    else:
        kernel = np.exp(-0.5 * (q**beta if family == "generalized" else q))
    return kernel / kernel.sum()


def sinc_kernel(size: int, cutoff: float) -> np.ndarray:
    """The circular ideal low-pass filter, cut off to ``size`` pixels; ``cutoff`` in radians a pixel, up to pi."""
    x, y = _grid(size)
    radius = np.hypot(x, y)
    safe = np.where(radius == 0, 1, radius)
    kernel = np.where(radius == 0, cutoff**2 / (4 * math.pi), cutoff * j1(cutoff * safe) / (2 * math.pi * safe))
    return kernel / kernel.sum()


def _grid(size: int) -> tuple[np.ndarray, np.ndarray]:
    """x to the right and y downwards, in pixels from the middle of the kernel."""
    axis = np.arange(size) - (size - 1) / 2
    return np.meshgrid(axis, axis)
