"""Paint marks over a photo: one opacity map for light paint and one for dark paint, both with smooth edges.

In: paths (N, 2) of (y, x) in pixels of the photo, widths in pixels, opacities in [0, 1]. Out: the photo with the marks.
The maps have twice the size of the photo, so that lines can be thinner than a pixel.
"""

import cv2
import numpy as np
import torch
from torch import Tensor

FINER = 2  # canvas pixels per photo pixel, along each axis
SHIFT = 4  # number of fractional bits in the coordinates given to OpenCV
LIGHT = (0.8, 1.0)  # brightness of bare paper and of scratched negatives in print; a matter of taste
DARK = (0.0, 0.2)  # brightness of dirt and of scratched slides; a matter of taste


class Canvas:
    """Two opacity maps over one photo of (height, width) pixels."""

    def __init__(self, size: tuple[int, int]) -> None:
        self.size = size
        self.light = np.zeros((size[0] * FINER, size[1] * FINER), dtype=np.uint8)
        self.dark = np.zeros_like(self.light)

    def line(self, path: np.ndarray, width: float, opacities: np.ndarray, *, is_dark: bool) -> None:
        """Draw a path with one opacity per segment; an opacity of 0 leaves a gap."""
        points = _fixed(path)
        for here, there, opacity in zip(points[:-1], points[1:], opacities, strict=False):
            if opacity > 0:
                cv2.line(self._of(is_dark), here, there, _level(opacity), _thickness(width), cv2.LINE_AA, SHIFT)

    def ribbon(self, path: np.ndarray, widths: np.ndarray, opacity: float, *, is_dark: bool) -> None:
        """Draw a path with one width per point; a hairline remains where the width is 0."""
        # The outline runs along one side of the path and back along the other.
        along = np.gradient(path, axis=0)
        across = along[:, ::-1] * [1, -1] / np.maximum(np.hypot(*along.T), 1e-6)[:, None]
        side = across * widths[:, None] / 2
        outline = np.concatenate([path + side, (path - side)[::-1]])
        cv2.fillPoly(self._of(is_dark), [np.array(_fixed(outline))], _level(opacity), cv2.LINE_AA, SHIFT)

    def speck(self, centre: np.ndarray, axes: np.ndarray, turn: float, opacity: float, *, is_dark: bool) -> None:
        """Draw a filled ellipse with the given half axes in pixels, rotated by ``turn`` degrees."""
        (where,) = _fixed(centre[None])
        half = tuple(int(axis * FINER * 2**SHIFT) for axis in axes)
        cv2.ellipse(self._of(is_dark), where, half, turn, 0, 360, _level(opacity), -1, cv2.LINE_AA, SHIFT)

    def over(self, image: Tensor, random: np.random.Generator) -> Tensor:
        """Apply y = (1 - a) x + a c for the dark paint, then for the light paint; (1, C, H, W) -> the same shape."""
        for canvas, (low, high) in ((self.dark, DARK), (self.light, LIGHT)):
            paint = random.uniform(low, high)
            if canvas.any():
                small = cv2.resize(canvas, self.size[::-1], interpolation=cv2.INTER_AREA)
                opacity = torch.from_numpy(small).to(image)[None, None] / 255
                image = (1 - opacity) * image + opacity * paint
        return image

    def _of(self, is_dark: bool) -> np.ndarray:
        return self.dark if is_dark else self.light


def wander(start: np.ndarray, length: float, headings: np.ndarray) -> np.ndarray:
    """Return the path (N + 1, 2) of N equal steps; headings are in radians from the downward direction."""
    steps = np.stack([np.cos(headings), np.sin(headings)], axis=1) * length / len(headings)
    return start + np.concatenate([np.zeros((1, 2)), steps.cumsum(axis=0)])


def ragged(start: np.ndarray, end: np.ndarray, roughness: float, random: np.random.Generator) -> np.ndarray:
    """Draw a path (65, 2) from start to end by midpoint displacement (Fournier et al., CACM 1982).

    Args:
        roughness: standard deviation of the first displacement over the distance; it falls by 0.6 per halving.
    """
    path, stray = np.stack([start, end]), roughness * float(np.hypot(*(end - start)))
    for _ in range(6):
        middle = (path[:-1] + path[1:]) / 2 + random.normal(0, stray, (len(path) - 1, 2))
        woven = np.empty((2 * len(path) - 1, 2))
        woven[::2], woven[1::2] = path, middle
        path, stray = woven, stray * 0.6
    return path


def wear(count: int, random: np.random.Generator, *, gaps: float) -> np.ndarray:
    """Draw smoothly changing numbers in [0, 1], the remaining share of a mark; about ``gaps`` of them are 0."""
    knots = random.uniform(-gaps, 1 - gaps, max(3, count // 5)) / (1 - gaps)
    return np.clip(np.interp(np.linspace(0, len(knots) - 1, count), np.arange(len(knots)), knots), 0, 1)


def _fixed(path: np.ndarray) -> list[tuple[int, int]]:
    """Convert (y, x) in photo pixels to (x, y) on the canvas, in fixed point with SHIFT fractional bits."""
    on_canvas = np.rint(path[:, ::-1] * FINER * 2**SHIFT).astype(np.int32)
    return [(int(x), int(y)) for x, y in on_canvas]


def _thickness(width: float) -> int:
    """OpenCV's thickness for a smooth line of this width; measured: 1 paints 1.35 pixels, an even t paints t + 1.44."""
    wanted = width * FINER - 1.4
    return 1 if wanted < 1 else 2 * max(1, round(wanted / 2))


def _level(opacity: float) -> int:
    return round(255 * opacity)
