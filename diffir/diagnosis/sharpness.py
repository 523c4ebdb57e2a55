"""Softness: the width of the sharpest edges, as the sigma of the Gaussian blur that would make them of steps.

In: windows of a photo on the 8-bit scale. Out: sigma in pixels. At an edge of width sigma, a further blur by sigma_0
reduces the gradient by R = sqrt(sigma^2 + sigma_0^2) / sigma, so sigma = sigma_0 / sqrt(R^2 - 1): S. Zhuo, T. Sim,
"Defocus map estimation from a single image", Pattern Recognition 2011, eq. 8. The sharpest fifth of the edges decides,
so that a background out of focus is no fault, and the direction whose edges are widest, so that shakes are seen.
"""

from collections.abc import Sequence

import cv2
import numpy as np

_SECOND_BLUR = 1.0  # sigma_0 in pixels
_CANNY = (30, 70)  # thresholds of Canny's detector, of Sobel's sums on the 8-bit scale
_LEAST_GRADIENT = 3.0  # grey levels a pixel
_SHARPEST = 0.2  # share of the edges
_FEWEST = 100  # pixels of edges in a direction, and twice as many in all
_DIRECTIONS = 4


def edge_width(luma: Sequence[np.ndarray]) -> float | None:
    """Sigma in pixels of the sharpest edges in the direction where they are widest; None if there are too few edges.

    Args:
        luma: windows h x w float32, 0 to 255.
    """
    found = [_edges(window) for window in luma if min(window.shape) > 2]
    if not found or sum(len(widths) for widths, _ in found) < 2 * _FEWEST:
        return None
    widths, directions = (np.concatenate(parts) for parts in zip(*found, strict=True))
    groups = [widths[directions == direction] for direction in range(_DIRECTIONS)]
    sharpest = [float(np.quantile(group, _SHARPEST)) for group in groups if len(group) >= _FEWEST]
    return max(sharpest, default=None)


def _edges(luma: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Width in pixels and direction, 0 to 3, of all pixels on edges of a window."""
    across, down = cv2.Sobel(luma, -1, 1, 0), cv2.Sobel(luma, -1, 0, 1)
    strength, blurred = _steepness(luma), _steepness(cv2.GaussianBlur(luma, (0, 0), _SECOND_BLUR))
    smooth = np.clip(cv2.GaussianBlur(luma, (0, 0), 0.7), 0, 255).astype(np.uint8)
    is_edge = (cv2.Canny(smooth, *_CANNY) > 0) & (strength > _LEAST_GRADIENT)
    ratio = np.maximum(strength[is_edge] / np.maximum(blurred[is_edge], 1e-6), 1.0001)
    angle = np.arctan2(down[is_edge], across[is_edge]) % np.pi
    return _SECOND_BLUR / np.sqrt(ratio**2 - 1), np.rint(angle * _DIRECTIONS / np.pi).astype(int) % _DIRECTIONS


def _steepness(luma: np.ndarray) -> np.ndarray:
    """Largest gradient at the four corners of each pixel, in grey levels a pixel.

    Differences of diagonal neighbours (Roberts) are less blurred than Sobel's, which would widen sharp edges.
    """
    one, other = np.zeros_like(luma), np.zeros_like(luma)
    one[1:, 1:] = luma[1:, 1:] - luma[:-1, :-1]
    other[1:, 1:] = luma[1:, :-1] - luma[:-1, 1:]
    return cv2.dilate(np.hypot(one, other), np.ones((2, 2)), anchor=(0, 0)) / np.float32(np.sqrt(2))
