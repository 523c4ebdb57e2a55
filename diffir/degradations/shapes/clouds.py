"""Smooth random fields for fog, stains and uneven fading.

In: a size and a numpy generator. Out: H x W float32. Law: fractal noise, a sum of octaves of value noise; from one
octave to the next the cells halve and the weight falls by a constant factor (Perlin, "An Image Synthesizer", SIGGRAPH
1985, with values instead of gradients).
"""

import cv2
import numpy as np


def cloud(
    size: tuple[int, int], random: np.random.Generator, *, cells: float = 2, octaves: int = 4, roughness: float = 0.5
) -> np.ndarray:
    """Draw a field with minimum 0 and maximum 1; an image of one pixel is 0.

    Args:
        size: (height, width) in pixels.
        cells: grid cells of the coarsest octave along the longer side; fewer cells make larger clouds.
        octaves: number of octaves; there are fewer if a cell would be smaller than a pixel.
        roughness: weight of an octave over the weight of the one before.
    """
    height, width = size
    field = np.zeros(size, dtype=np.float32)
    for octave in range(octaves):
        across = cells * 2**octave
        # Cells smaller than a pixel would add white noise.
        if octave and across > max(size):
            break
        field += roughness**octave * _value_noise(height, width, max(size) / across, random)
    # Stretch to [0, 1].
    field -= field.min()
    return field / max(float(field.max()), 1e-6)


def _value_noise(height: int, width: int, cell: float, random: np.random.Generator) -> np.ndarray:
    """Draw independent values on a grid of ``cell`` pixels at a random place, and interpolate them by cubics."""
    rows, columns = (int(np.ceil(side / cell)) + 3 for side in (height, width))
    grid = random.random((rows, columns), dtype=np.float32)
    shift_y, shift_x = random.random(2)
    # The map from pixels to the grid; a margin of one cell keeps the cubic away from the border.
    to_grid = np.array([[1 / cell, 0, 0.5 + shift_x], [0, 1 / cell, 0.5 + shift_y]], dtype=np.float64)
    return cv2.warpAffine(
        grid,
        to_grid,
        (width, height),
        flags=cv2.INTER_CUBIC | cv2.WARP_INVERSE_MAP,
        borderMode=cv2.BORDER_REPLICATE,
    )
