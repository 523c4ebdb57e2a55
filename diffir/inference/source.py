"""What the network reads and what it writes: photos that stay in memory as they are, cut and converted piece by piece.

In: arrays (B, H, W, C) of uint8, uint16 or floats, white at 1, and masks. Out: pieces of lq as float tensors
(B, C', h, w), mirrored beyond the edges so that any size, even 1 x 1, fills a multiple; and, the other way, restored
rows that are clipped, rounded and laid down in the photos' own type. So a photo costs its own bytes, not floats.
"""

import math
from dataclasses import dataclass, replace

import numpy as np
import torch
from einops import rearrange
from torch import Tensor

from diffir.errors import ImageError
from diffir.hole_fill import fill_photo
from diffir.pixels import to_float, to_kind
from diffir.system import Facts, HoleFill

_ROWS_AT_ONCE = 64


@dataclass(frozen=True)
class Source:
    """A batch of photos, or a region of it, as the network shall see it. Coordinates are pixels of padded lq."""

    images: np.ndarray
    """(B, H, W, C), C = 3 RGB or 1 grey."""
    masks: np.ndarray | None
    """(B, H, W), above 0 where a hole is."""
    shown: np.ndarray
    """``images`` as the network shall see them, holes filled."""
    has_mirrored_edge: bool
    """Repeat the edge pixel when mirroring (the inpainting networks' rule) instead of mirroring about it."""
    top: int
    left: int
    height: int
    width: int

    @property
    def batch(self) -> int:
        """Number of photos."""
        return len(self.images)

    @classmethod
    def whole(cls, images: np.ndarray, masks: np.ndarray | None, facts: Facts) -> "Source":
        """All of the photos, sides padded to what the network needs."""
        height, width = (round_up(side, facts.multiple_of) for side in images.shape[1:3])
        shown = images if masks is None else _without_holes(images, masks > 0, facts.hole_fill)
        return cls(images, masks, shown, facts.has_mask, 0, 0, height, width)

    def region(self, rows: slice, columns: slice) -> "Source":
        """A part of this region; slices have start and stop."""
        place = {"top": self.top + rows.start, "left": self.left + columns.start}
        return replace(self, **place, height=rows.stop - rows.start, width=columns.stop - columns.start)

    def bare(self) -> "Source":
        """The whole photos alone: no mask, no mirrored edge."""
        height, width = self.images.shape[1:3]
        return replace(self, masks=None, shown=self.images, top=0, left=0, height=height, width=width)

    def turned(self, quarter_turns: int, mirrored: bool) -> "Source":
        """The whole photos turned anticlockwise, then mirrored left to right if asked; views, not copies."""
        images, shown = (turn(array, quarter_turns, mirrored) for array in (self.images, self.shown))
        masks = None if self.masks is None else turn(self.masks, quarter_turns, mirrored)
        sides = (self.width, self.height) if quarter_turns % 2 else (self.height, self.width)
        return Source(images, masks, shown, self.has_mirrored_edge, 0, 0, *sides)

    def rows(self, start: int, stop: int) -> Tensor:
        """lq (B, C', stop - start, width) float32 on the CPU: RGB, and for inpainting a mask, 1 in holes."""
        rows = self._indices(self.top + start, self.top + stop, self.images.shape[1])
        columns = self._indices(self.left, self.left + self.width, self.images.shape[2])
        piece = to_float(_pick(self.shown, rows, columns)).astype(np.float32, copy=False)
        # numpy's memory is not aligned as torch's is, and convolutions round by alignment: hence the copy.
        lq = rearrange(torch.from_numpy(np.ascontiguousarray(piece)), "b h w c -> b c h w").contiguous()
        lq = lq.expand(-1, 3, -1, -1)
        if self.masks is None:
            return lq
        holes = torch.from_numpy(_pick(self.masks, rows, columns) > 0).float()[:, None]
        return torch.cat([lq, holes], dim=1)

    def _indices(self, start: int, stop: int, side: int) -> slice | np.ndarray:
        if stop <= side:
            return slice(start, stop)
        return mirror(np.arange(start, stop), side, repeat_edge=self.has_mirrored_edge)


@dataclass(frozen=True)
class Canvas:
    """Where restored rows are laid down: (B, H, W, C) in the type that is wanted."""

    images: np.ndarray
    clips: bool
    """Whether floats are held to [0, 1]; integers always are."""

    @classmethod
    def like(cls, source: Source, scale: int, dtype: np.dtype, *, clips: bool, channels: int | None = None) -> "Canvas":
        """Empty, ``scale`` times the size of the source's photos, with as many channels unless told otherwise."""
        batch, height, width, own = source.images.shape
        return cls(np.empty((batch, scale * height, scale * width, channels or own), dtype), clips)

    def write(self, top: int, rows: Tensor) -> None:
        """Lay down rows (B, 3, h, w) from ``top`` on; what stands beyond the canvas is padding and falls away."""
        for start in range(0, rows.shape[2], _ROWS_AT_ONCE):  # each conversion is a copy
            some = rows[:, :, start : start + _ROWS_AT_ONCE]
            place = self.images[:, top + start : top + start + some.shape[2]]
            some = some[:, :, : place.shape[1], : place.shape[2]].float()
            if self.images.shape[-1] == 1:
                some = some.mean(dim=1, keepdim=True)
            if self.clips:
                some = some.clamp(0, 1)
            place[...] = to_kind(rearrange(some, "b c h w -> b h w c").cpu().numpy(), self.images.dtype)


def round_up(side: int, multiple: int) -> int:
    """The smallest multiple that is not below the side."""
    return math.ceil(side / multiple) * multiple


def mirror(index: np.ndarray, side: int, *, repeat_edge: bool) -> np.ndarray:
    """Indices 0 ... and on, folded back and forth into 0 ... side-1 (numpy.pad's "symmetric" or "reflect")."""
    period = 2 * side if repeat_edge else max(2 * side - 2, 1)
    index = index % period
    return np.where(index < side, index, period - index - int(repeat_edge))


def turn(images: np.ndarray, quarter_turns: int, mirrored: bool) -> np.ndarray:
    """(B, H, W, ...) turned anticlockwise, then mirrored left to right; a view."""
    turned = np.rot90(images, quarter_turns, axes=(1, 2))
    return turned[:, :, ::-1] if mirrored else turned


def turn_back(images: np.ndarray, quarter_turns: int, mirrored: bool) -> np.ndarray:
    """Inverse of ``turn``; a view."""
    return np.rot90(images[:, :, ::-1] if mirrored else images, -quarter_turns, axes=(1, 2))


def _without_holes(images: np.ndarray, holes: np.ndarray, fill: HoleFill) -> np.ndarray:
    """A copy (B, H, W, C) with something else in its holes (B, H, W)."""
    if fill == "membrane":
        filled = [fill_photo(image, hole) for image, hole in zip(images, holes, strict=True)]
        return filled[0][None] if len(filled) == 1 else np.stack(filled)
    return np.where(holes[..., None], 0, images).astype(images.dtype, copy=False)


def _pick(array: np.ndarray, rows: slice | np.ndarray, columns: slice | np.ndarray) -> np.ndarray:
    return array[:, rows][:, :, columns]


def check_image(image: np.ndarray) -> None:
    """Whether ``Source`` can hold an array.

    Raises:
        ImageError: it is no image, or has values that no photo has.
    """
    if image.ndim not in (2, 3) or (image.ndim == 3 and image.shape[2] not in (1, 3)) or not image.size:
        raise ImageError(
            f"an image is H x W, H x W x 1 or H x W x 3 (no alpha), not {' x '.join(map(str, image.shape))}"
        )
    if image.dtype not in (np.uint8, np.uint16) and image.dtype.kind != "f":
        raise ImageError(f"pixels must be uint8, uint16 or float with white at 1, not {image.dtype}")
    if image.dtype.kind == "f" and not np.isfinite(image).all():
        raise ImageError("the image holds NaN or infinite values")
