"""Smooth random fields: the shape of fog, of stains, of uneven fading.

In: a size and a numpy generator. Out: H x W float32. Law: fractal noise, octaves of value noise whose cells halve and
whose weight falls by a constant factor (Perlin, "An Image Synthesizer", SIGGRAPH 1985, with values instead of slopes).
"""

import cv2
import numpy as np


def cloud(
    size: tuple[int, int], random: np.random.Generator, *, cells: float = 2, octaves: int = 4, roughness: float = 0.5
) -> np.ndarray:
    """A field from 0 to 1, both reached unless the image is one pixel.

    Args:
        size: (height, width) in pixels.
        cells: grid cells of the coarsest octave along the longer side; few cells, large clouds.
        octaves: how often the cells are halved; stops where a cell would be a pixel.
        roughness: weight of an octave over that of the one before.
    """
    height, width = size
    field = np.zeros(size, dtype=np.float32)
    for octave in range(octaves):
        across = cells * 2**octave
        if octave and across > max(size):
            break
        field += roughness**octave * _value_noise(height, width, max(size) / across, random)
    field -= field.min()
    return field / max(float(field.max()), 1e-6)


def _value_noise(height: int, width: int, cell: float, random: np.random.Generator) -> np.ndarray:
    """Independent values on a grid of ``cell`` pixels, joined by cubics, the grid at a random place."""
    rows, columns = (int(np.ceil(side / cell)) + 3 for side in (height, width))
    grid = random.random((rows, columns), dtype=np.float32)
    shift_y, shift_x = random.random(2)
    # From pixel to grid: one cell of margin keeps the cubic away from the border.
    turn = np.array([[1 / cell, 0, 0.5 + shift_x], [0, 1 / cell, 0.5 + shift_y]], dtype=np.float64)
    return cv2.warpAffine(
        grid,
        turn,
        (width, height),
        flags=cv2.INTER_CUBIC | cv2.WARP_INVERSE_MAP,
        borderMode=cv2.BORDER_REPLICATE,
    )
