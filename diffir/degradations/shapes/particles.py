"""What falls through the air: many copies of one small shape, scattered evenly, each with a brightness of its own.

In: a size, a shape and a numpy generator. Out: H x W float32, 0 or more. Law: S = k * n, k the shape and n sparse
noise, non-zero at Poisson-many places; the field's synthetic rain is made so.
"""

import cv2
import numpy as np

AREA = 10_000
"""Pixels that densities refer to: a square of 100 x 100."""


def scatter(
    size: tuple[int, int],
    shape: np.ndarray,
    density: float,
    random: np.random.Generator,
    *,
    faintest: float = 0.3,
) -> np.ndarray:
    """Copies of ``shape``, (S, S) float32 with S odd, added up; some reach in from outside the image.

    Args:
        density: copies a square of 100 x 100 pixels.
        faintest: brightness of the faintest copy; the brightest has 1, all between are as likely.
    """
    margin = shape.shape[0] // 2
    height, width = size[0] + 2 * margin, size[1] + 2 * margin
    count = int(random.poisson(density * height * width / AREA))
    noise = np.zeros(height * width, dtype=np.float32)
    np.add.at(noise, random.integers(0, height * width, count), random.uniform(faintest, 1, count).astype(np.float32))
    light = cv2.filter2D(noise.reshape(height, width), -1, shape, borderType=cv2.BORDER_CONSTANT)
    inside = light[margin : margin + size[0], margin : margin + size[1]]
    return np.maximum(inside, 0)  # the Fourier transform inside OpenCV leaves values of -1e-8


def streak(length: float, width: float, angle: float, head: float = 0) -> np.ndarray:
    """A line with soft sides and ends, 1 at its brightest: p(t, v) = 4 s (1 - s) exp(-4 ln 2 (v / width)^2), s = t^g.

    t runs from 0 at the tip near the brightest place to 1 at the other, v across; g makes s = 1/2 at that place.

    Args:
        length: from tip to tip, pixels.
        width: where the side has fallen to a half, pixels.
        angle: from vertical, degrees; positive leans the top to the right.
        head: the brightest place, from -1, the lower tip, to 1, the upper; short of the tips themselves.
    """
    half = max(1, int(np.ceil((length + width) / 2)))
    axis = np.arange(-half, half + 1, dtype=np.float64)
    x, y = np.meshgrid(axis, axis)
    lean = np.deg2rad(angle)
    along, across = x * np.sin(lean) - y * np.cos(lean), x * np.cos(lean) + y * np.sin(lean)
    # Along a streak shorter than a pixel nothing but the middle would be hit.
    from_head = np.clip(0.5 - np.copysign(1, head) * along / max(length, 2), 0, 1)
    place = from_head ** (np.log(0.5) / np.log(0.5 - 0.475 * abs(head)))
    return (4 * place * (1 - place) * np.exp(-4 * np.log(2) * np.square(across / width))).astype(np.float32)
