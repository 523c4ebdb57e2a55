"""Transparency: the colours that the network gets under transparent pixels, and the enlargement of opacity.

In: pixels and alpha of one photo. A network restores colour from a neighbourhood, so the colours that a file stores
under transparent pixels, mostly black or white, would appear as a fringe at visible edges. They are replaced before
restoration. Opacity goes through the network as a grey image; where it was constant, the result is set to that value.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import cv2
import numpy as np

if TYPE_CHECKING:
    from diffir.inference.restorer import OnProgress, Restorer

_STRIP = 16  # rows that are filled at once, which limits memory
_REACH = 2  # opacity is constant if so many pixels of lq on each side are equal; the number is a matter of taste


def fill_hidden(pixels: np.ndarray, alpha: np.ndarray) -> np.ndarray:
    """Replace the colour under fully transparent pixels by a continuation of the visible colour.

    A hidden pixel gets the colour at its mirror position beyond the nearest visible pixel, so that noise stays noise
    and does not become streaks; if the mirror position is hidden too, it gets the colour of that nearest pixel.

    Args:
        pixels: (H, W, C) of any type.
        alpha: (H, W); 0 is fully transparent.

    Returns:
        A new array (H, W, C), or ``pixels`` itself if no pixel or every pixel is hidden.
    """
    hidden = alpha <= 0
    if not hidden.any() or hidden.all():
        return pixels
    # Label each pixel with the number of the nearest zero, that is of the nearest visible pixel. The distances are
    # dropped at once, and rows go strip by strip: index arrays of a whole photo would take most of the memory.
    labels = cv2.distanceTransformWithLabels(
        hidden.view(np.uint8), cv2.DIST_L2, cv2.DIST_MASK_5, labelType=cv2.DIST_LABEL_PIXEL
    )[1]

    # List the position (row * width + column) of every visible pixel by its label.
    height, width = alpha.shape
    places = np.empty(labels.max() + 1, np.int32)
    for top in range(0, height, _STRIP):
        rows, columns = np.nonzero(~hidden[top : top + _STRIP])
        places[labels[top + rows, columns]] = (top + rows) * width + columns

    # Fill each hidden pixel from its mirror position, or from the nearest visible pixel.
    filled = pixels.copy()
    for top in range(0, height, _STRIP):
        rows, columns = np.nonzero(hidden[top : top + _STRIP])
        rows += top
        edge_rows, edge_columns = np.divmod(places[labels[rows, columns]], width)
        mirrored = np.clip(2 * edge_rows - rows, 0, height - 1), np.clip(2 * edge_columns - columns, 0, width - 1)
        is_visible = ~hidden[mirrored]
        filled[rows, columns] = pixels[
            np.where(is_visible, mirrored[0], edge_rows), np.where(is_visible, mirrored[1], edge_columns)
        ]
    return filled


def needs_network(alpha: np.ndarray, scale: int) -> bool:
    """True if opacity (H, W) has edges that the network must enlarge."""
    return scale > 1 and bool((alpha != alpha.flat[0]).any())


def enlarge_alpha(restorer: Restorer, alpha: np.ndarray, on_progress: OnProgress | None = None) -> np.ndarray:
    """Opacity (H, W) at the size of the output, (scale * H, scale * W).

    At scale 1 it is unchanged. At other scales the network enlarges its edges, and constant areas keep their exact
    value.
    """
    scale = restorer.scale
    if scale == 1:
        return alpha
    repeated = alpha.repeat(scale, axis=0).repeat(scale, axis=1)
    if not needs_network(alpha, scale):
        return repeated
    holes = np.zeros(alpha.shape, np.uint8) if restorer.has_mask else None
    enlarged = restorer.restore(alpha, holes, on_progress=on_progress)
    constant = _is_constant(alpha).repeat(scale, axis=0).repeat(scale, axis=1)
    return np.where(constant, repeated, enlarged)


def _is_constant(alpha: np.ndarray) -> np.ndarray:
    """(H, W) bool: True where all neighbours within reach are equal."""
    window = np.ones((2 * _REACH + 1, 2 * _REACH + 1), np.uint8)
    return cv2.dilate(alpha, window) == cv2.erode(alpha, window)
