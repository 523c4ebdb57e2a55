"""Blur kernels: float64 arrays (S, S), S odd, with sum 1.

With q(x, y) = (x, y) C^-1 (x, y)^T and C the covariance of two axes sigma_1, sigma_2 turned by an angle, the three
families of Wang et al., "Real-ESRGAN", ICCVW 2021 are exp(-q/2), exp(-q^beta / 2) (generalised) and 1 / (1 + q^beta)
(plateau). A sinc is the ideal low-pass filter, whose ringing appears in sharpened photos. A disc is the image of a
point out of focus, a path the image of a point while the camera moves (Boracchi, Foi, TIP 2012).
"""

import math
from typing import Literal

import numpy as np
from scipy.special import j1

Family = Literal["gaussian", "generalized", "plateau"]


def bell_kernel(
    size: int, sigma: tuple[float, float], angle: float = 0.0, *, family: Family = "gaussian", beta: float = 1.0
) -> np.ndarray:
    """Return a kernel with a single peak.

    Args:
        size: side in pixels, odd.
        sigma: standard deviations along the two axes, in pixels; equal ones make it isotropic.
        angle: angle between the first axis and x, in radians.
        beta: exponent of the generalised and plateau families; the peak is sharper below 1 and flatter above 1.
    """
    # q, the squared distance in units of the standard deviations.
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
    """Return the circular ideal low-pass filter, cropped to ``size``; ``cutoff`` in radians per pixel, up to pi."""
    x, y = _grid(size)
    radius = np.hypot(x, y)
    # The centre has its own formula, the limit for radius 0.
    safe = np.where(radius == 0, 1, radius)
    kernel = np.where(radius == 0, cutoff**2 / (4 * math.pi), cutoff * j1(cutoff * safe) / (2 * math.pi * safe))
    return kernel / kernel.sum()


def disc_kernel(radius: float, *, softness: float = 1.0, blades: int = 0, angle: float = 0.0) -> np.ndarray:
    """Return the image of a point through an aperture: uniform inside, falling linearly to 0 across the edge.

    Args:
        radius: radius of the disc in pixels; a polygon has the area of that disc.
        softness: width of the edge in pixels; 1 is the antialiased edge of a sharp shape.
        blades: sides of a polygon, 3 or more; 0 is a disc.
        angle: rotation of the polygon, in radians.
    """
    half = math.ceil((radius + softness / 2) * (1.6 if blades else 1))  # 1.6: corners of a triangle
    x, y = _grid(2 * half + 1)
    distance, reach = np.hypot(x, y), radius
    # A polygon: the distance is the largest one along the normals of its sides.
    if blades:
        normals = angle + 2 * math.pi * np.arange(blades) / blades
        distance = np.max([x * math.cos(normal) + y * math.sin(normal) for normal in normals], axis=0)
        reach = radius * math.sqrt(math.pi / (blades * math.tan(math.pi / blades)))
    kernel = np.clip((reach - distance) / softness + 0.5, 0, 1)
    return kernel / kernel.sum()


def path_kernel(path: np.ndarray) -> np.ndarray:
    """Return the time that a path spends at each pixel; the mean of the path is in the middle of the kernel.

    Args:
        path: (T,) complex, x + iy in pixels, at equal intervals of time; points may be closer than a pixel.
    """
    path = path - path.mean()
    # Make room for the whole path.
    half = math.ceil(max(np.abs(path.real).max(), np.abs(path.imag).max())) + 1
    kernel = np.zeros((2 * half + 1, 2 * half + 1))
    # Share each point among its four neighbours by bilinear weights.
    left, top = np.floor(path.real).astype(int), np.floor(path.imag).astype(int)
    x, y = path.real - left, path.imag - top
    for dy, dx, share in ((0, 0, (1 - x) * (1 - y)), (0, 1, x * (1 - y)), (1, 0, (1 - x) * y), (1, 1, x * y)):
        np.add.at(kernel, (top + dy + half, left + dx + half), share)
    return kernel / kernel.sum()


def _grid(size: int) -> tuple[np.ndarray, np.ndarray]:
    """Return x to the right and y downwards, in pixels from the middle of the kernel."""
    axis = np.arange(size) - (size - 1) / 2
    return np.meshgrid(axis, axis)
