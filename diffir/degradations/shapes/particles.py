"""Particles in the air: many copies of one small shape at random places, each with its own brightness.

In: a size, a shape and a numpy generator. Out: H x W float32, 0 or more. Law: S = k * n, k the shape and n sparse
noise, which is not 0 at a Poisson-distributed number of places, as usual for synthetic rain.
"""

import cv2
import numpy as np

AREA = 10_000
"""Number of pixels that densities refer to: a square of 100 x 100."""


def scatter(
    size: tuple[int, int],
    shape: np.ndarray,
    density: float,
    random: np.random.Generator,
    *,
    faintest: float = 0.3,
) -> np.ndarray:
    """Add up copies of ``shape``, (S, S) float32 with S odd; some lie partly outside the image.

    Args:
        density: number of copies per square of 100 x 100 pixels.
        faintest: brightness of the faintest copy; values from there to 1 are equally likely.
    """
    # Draw the places and the brightness of all copies, on a canvas with a margin.
    margin = shape.shape[0] // 2
    height, width = size[0] + 2 * margin, size[1] + 2 * margin
    count = int(random.poisson(density * height * width / AREA))
    noise = np.zeros(height * width, dtype=np.float32)
    np.add.at(noise, random.integers(0, height * width, count), random.uniform(faintest, 1, count).astype(np.float32))
    # Put the shape at every place by one convolution, and cut off the margin.
    light = cv2.filter2D(noise.reshape(height, width), -1, shape, borderType=cv2.BORDER_CONSTANT)
    inside = light[margin : margin + size[0], margin : margin + size[1]]
    return np.maximum(inside, 0)  # the Fourier transform inside OpenCV leaves values of -1e-8


def streak(length: float, width: float, angle: float, head: float = 0) -> np.ndarray:
    """Draw a line with soft sides and ends, at most 1: p(t, v) = 4 s (1 - s) exp(-4 ln 2 (v / width)^2), s = t^g.

    t runs from 0 at the tip near the brightest place to 1 at the other, v across; g makes s = 1/2 at that place.

    Args:
        length: distance between the tips, in pixels.
        width: full width at half maximum across the streak, in pixels.
        angle: degrees from vertical; a positive angle leans the top to the right.
        head: the brightest place, from -1, near the lower tip, to 1, near the upper tip.
    """
    # Coordinates along and across the streak.
    half = max(1, int(np.ceil((length + width) / 2)))
    axis = np.arange(-half, half + 1, dtype=np.float64)
    x, y = np.meshgrid(axis, axis)
    lean = np.deg2rad(angle)
    along, across = x * np.sin(lean) - y * np.cos(lean), x * np.cos(lean) + y * np.sin(lean)
    # A streak shorter than a pixel would only hit its middle, so 2 pixels are the least.
    from_head = np.clip(0.5 - np.copysign(1, head) * along / max(length, 2), 0, 1)
    # The exponent g moves the brightest place to the head.
    place = from_head ** (np.log(0.5) / np.log(0.5 - 0.475 * abs(head)))
    return (4 * place * (1 - place) * np.exp(-4 * np.log(2) * np.square(across / width))).astype(np.float32)
