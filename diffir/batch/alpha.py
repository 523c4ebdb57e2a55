"""Transparency: what the network sees where nothing is visible, and how opacity is enlarged.

In: pixels and alpha of one photo. Networks know only colour, and look at neighbours: whatever a file hides under
transparent pixels, mostly black or white, would come back as a fringe. So that colour is replaced beforehand. Opacity
goes through the network as a grey image of its own, and is put right where it was constant.
"""

import cv2
import numpy as np

from diffir.inference.restorer import OnProgress, Restorer

_STRIP = 16  # rows whose colours are looked up at once
_REACH = 2  # pixels of lq on each side that must be equal for opacity to count as constant; a matter of taste


def fill_hidden(pixels: np.ndarray, alpha: np.ndarray) -> np.ndarray:
    """Pixels (H, W, C) whose colour under fully transparent places (alpha 0, (H, W)) goes on as the visible does.

    It is mirrored at the nearest visible pixel, so that noise stays noise and does not become streaks; where the mirror
    shows nothing visible, it is that pixel's own. The same array comes back where nothing or everything is hidden.
    """
    hidden = alpha <= 0
    if not hidden.any() or hidden.all():
        return pixels
    # Each pixel gets the label of the nearest zero, that is of the nearest visible pixel, labels counting these. The
    # distances are dropped at once, and rows go strip by strip: whole photos of indices would be most of the memory.
    labels = cv2.distanceTransformWithLabels(
        hidden.view(np.uint8), cv2.DIST_L2, cv2.DIST_MASK_5, labelType=cv2.DIST_LABEL_PIXEL
    )[1]
    height, width = alpha.shape
    places = np.empty(labels.max() + 1, np.int32)
    for top in range(0, height, _STRIP):
        rows, columns = np.nonzero(~hidden[top : top + _STRIP])
        places[labels[top + rows, columns]] = (top + rows) * width + columns
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
    """Whether opacity has edges to enlarge."""
    return scale > 1 and bool((alpha != alpha.flat[0]).any())


def enlarge_alpha(restorer: Restorer, alpha: np.ndarray, on_progress: OnProgress | None = None) -> np.ndarray:
    """Opacity (H, W) at the size of the output. At scale 1 it stays as it is; at others edges are the network's, and
    what was constant stays exactly that constant."""
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
    """(H, W): whether all neighbours within reach are equal."""
    window = np.ones((2 * _REACH + 1, 2 * _REACH + 1), np.uint8)
    return cv2.dilate(alpha, window) == cv2.erode(alpha, window)
