"""Finish restored rows: keep the known pixels of inpainted photos, and blend the result with the input.

In: rows (B, 3, h, W) of the network's output. Out: rows written to ``OutputImages``.
"""

import torch
import torch.nn.functional as F
from torch import Tensor

from diffir.inference.source import OutputImages, Source
from diffir.inference.strips import split_rows
from diffir.system import Facts

_ROWS = 256  # rows of lq that are enlarged at a time
_BICUBIC_REACH = 4  # neighbouring rows for bicubic enlargement; it needs two, the rest is reserve


class Finish:
    """Writes restored rows to the output images; each batch of photos has its own."""

    def __init__(self, source: Source, output: OutputImages, facts: Facts, strength: float) -> None:
        """
        Args:
            strength: 1 writes the restored rows; smaller values blend them with the input.
        """
        self._source = source
        self._output = output
        self._facts = facts
        self._strength = strength

    def __call__(self, top: int, rows: Tensor) -> None:
        """Write rows (B, 3, h, W) of the output, the first of them to row ``top``."""
        if not self._facts.has_mask and self._strength == 1:
            self._output.write(top, rows)
            return

        # Keep the pixels outside the missing regions as they are, and blend those of their margin.
        scale = self._facts.scale
        start, stop = top // scale, (top + rows.shape[-2]) // scale
        rows = rows.float().cpu()
        rows = rows.clamp(0, 1) if self._output.clips else rows  # clip before blending
        if self._facts.has_mask:
            image = self._source.photo_rows(start, stop)[..., : rows.shape[-1]]
            weights = self._source.weights(start, stop)[..., : rows.shape[-1]]
            rows = torch.where(weights > 0, torch.lerp(image, rows, weights), image)

        # Blend with the input.
        if self._strength < 1:
            untouched = input_rows(self._source, start, stop, scale)
            rows = torch.lerp(untouched, rows[..., : untouched.shape[-2], : untouched.shape[-1]], self._strength)
        self._output.write(top, rows)


def write_input(source: Source, output: OutputImages, scale: int) -> None:
    """Write the photos unrestored, bicubically enlarged if the network enlarges."""
    for strip in split_rows(source.images.shape[1], _ROWS, 0):
        output.write(strip.top * scale, input_rows(source, strip.top, strip.bottom, scale))


def input_rows(source: Source, start: int, stop: int, scale: int) -> Tensor:
    """Rows ``start`` to ``stop`` (exclusive) of the photos without padding, bicubically enlarged by ``scale``."""
    photo = source.without_mask()
    stop = min(stop, photo.height)
    above, below = min(start, _BICUBIC_REACH), min(photo.height - stop, _BICUBIC_REACH)
    rows = photo.rows(start - above, stop + below)
    if scale > 1:
        rows = F.interpolate(rows, scale_factor=scale, mode="bicubic")
    return rows[..., scale * above : rows.shape[-2] - scale * below, :]
