"""Carry the change of tone of a small copy of a photo over to the photo itself.

In: the copy and what a network made of it, (B, 3, h, w), and rows of the photo. Out: these rows with the tones of the
result. Around each pixel of the copy, the result is approximated by an affine function of the copy's colours; these
functions are enlarged and applied to the photo, which keeps its detail. Source: He, Sun, Tang, "Guided Image
Filtering", TPAMI 2013; He, Sun, "Fast Guided Filter", arXiv 1505.00996, 2015.
"""

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from einops import einsum, rearrange
from torch import Tensor

RADIUS = 4  # pixels of the copy around each pixel that one affine function describes
EPSILON = 1e-4  # variance of colour, in units of white squared, below which the function becomes constant
_ROWS_AT_ONCE = 32  # the enlarged functions have twelve numbers a pixel


@dataclass(frozen=True)
class ToneChange:
    """An affine function of colour for each pixel of a small copy of a photo."""

    functions: Tensor
    """(B, 12, h, w): a matrix 3 x 3, which maps the colours of the photo to those of the result, and an offset."""

    @classmethod
    def between(cls, copy: Tensor, restored: Tensor) -> "ToneChange":
        """Fit the functions that turn ``copy`` into ``restored``, both (B, 3, h, w) floats with white at 1."""
        copy, restored = copy.double(), restored.double()  # variances are differences of nearly equal numbers
        mean, target = _around(copy), _around(restored)
        variance = _mean_products(copy, copy) - einsum(mean, mean, "b i h w, b j h w -> b h w i j")
        shared = _mean_products(copy, restored) - einsum(mean, target, "b i h w, b j h w -> b h w i j")
        matrix = torch.linalg.solve(variance + EPSILON * torch.eye(3).to(variance), shared)
        offset = target - einsum(matrix, mean, "b h w i j, b i h w -> b j h w")
        matrix = rearrange(matrix, "b h w i j -> b (i j) h w")
        return cls(_around(torch.cat([matrix, offset], dim=1)).float())

    def applied(self, rows: Tensor, top: int, height: int) -> Tensor:
        """Change rows (B, 3, n, W) of a photo of ``height`` rows, the first of which is row ``top``; not clamped."""
        pieces = rows.split(_ROWS_AT_ONCE, dim=2)
        return torch.cat(
            [self._applied(piece, top + number * _ROWS_AT_ONCE, height) for number, piece in enumerate(pieces)], dim=2
        )

    def _applied(self, rows: Tensor, top: int, height: int) -> Tensor:
        batch, _, count, width = rows.shape
        y = (torch.arange(top, top + count) + 0.5) * 2 / height - 1
        x = (torch.arange(width) + 0.5) * 2 / width - 1
        places = torch.stack(torch.meshgrid(x, y, indexing="xy"), dim=-1).expand(batch, -1, -1, -1)
        functions = F.grid_sample(self.functions, places.float(), padding_mode="border", align_corners=False)
        matrix = rearrange(functions[:, :9], "b (i j) h w -> b i j h w", i=3)
        return einsum(matrix, rows.float(), "b i j h w, b i h w -> b j h w") + functions[:, 9:]


def _around(images: Tensor) -> Tensor:
    """The mean of the pixels around each pixel of (B, C, h, w), fewer at the edges."""
    return F.avg_pool2d(images, 2 * RADIUS + 1, stride=1, padding=RADIUS, count_include_pad=False)


def _mean_products(left: Tensor, right: Tensor) -> Tensor:
    """The mean product of channels (B, h, w, C, C) around each pixel of two images (B, C, h, w)."""
    products = rearrange(einsum(left, right, "b i h w, b j h w -> b i j h w"), "b i j h w -> b (i j) h w")
    return rearrange(_around(products), "b (i j) h w -> b h w i j", i=left.shape[1])
