"""From restored rows to rows of the result: known pixels are kept, and the result is blended with the input.

In: rows (B, 3, h, W) of the network's output. Out: rows laid down on a ``Canvas``.
"""

import torch
import torch.nn.functional as F
from torch import Tensor

from diffir.inference.source import Canvas, Source
from diffir.inference.strips import split_rows
from diffir.system import Facts

_ROWS = 256  # rows of lq that are enlarged at once
_BICUBIC_REACH = 4  # rows that bicubic enlargement sees, and a few more


class Finish:
    """Writes restored rows to a canvas; one for each batch of photos."""

    def __init__(self, source: Source, canvas: Canvas, facts: Facts, strength: float) -> None:
        """
        Args:
            strength: 1 writes the restored rows, less blends them with the input.
        """
        self._source = source
        self._canvas = canvas
        self._facts = facts
        self._strength = strength

    def __call__(self, top: int, rows: Tensor) -> None:
        """Write rows (B, 3, h, W) of the output from ``top`` on."""
        if not self._facts.has_mask and self._strength == 1:
            self._canvas.write(top, rows)
            return
        scale = self._facts.scale
        start, stop = top // scale, (top + rows.shape[-2]) // scale
        rows = rows.float().cpu()
        if self._facts.has_mask:
            lq = self._source.rows(start, stop)[..., : rows.shape[-1]]
            image, holes = lq[:, :-1], lq[:, -1:]
            rows = torch.where(holes > 0, rows, image)
        if self._strength < 1:
            rows = rows.clamp(0, 1) if self._canvas.clips else rows  # blend what is seen, not what will be clipped
            untouched = input_rows(self._source, start, stop, scale)
            rows = torch.lerp(untouched, rows[..., : untouched.shape[-2], : untouched.shape[-1]], self._strength)
        self._canvas.write(top, rows)


def write_input(source: Source, canvas: Canvas, scale: int) -> None:
    """Write the photos as they are, enlarged bicubically where the network enlarges."""
    for strip in split_rows(source.images.shape[1], _ROWS, 0):
        canvas.write(strip.top * scale, input_rows(source, strip.top, strip.bottom, scale))


def input_rows(source: Source, start: int, stop: int, scale: int) -> Tensor:
    """Rows ``start`` to ``stop`` of the photos, without padding, at the size of the output."""
    photo = source.bare()
    stop = min(stop, photo.height)
    above, below = min(start, _BICUBIC_REACH), min(photo.height - stop, _BICUBIC_REACH)
    rows = photo.rows(start - above, stop + below)
    if scale > 1:
        rows = F.interpolate(rows, scale_factor=scale, mode="bicubic")
    return rows[..., scale * above : rows.shape[-2] - scale * below, :]
