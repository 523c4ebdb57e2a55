"""The input and the output of a restoration: photos in their own data type, converted to float piece by piece.

``Source`` holds arrays (B, H, W, C) of uint8, uint16 or floats (white is 1) and masks, and gives pieces of lq as float
tensors (B, C', h, w), mirrored beyond the edges so that a photo of any size, even 1 x 1, fills a multiple of the
network's step. ``OutputImages`` takes restored rows, clips and rounds them. A photo is never held as float in whole.
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

_ROWS_AT_ONCE = 64  # rows of the output that are converted at a time


@dataclass(frozen=True)
class Source:
    """A batch of photos, or a region of them, as input of the network. Coordinates are pixels of the padded lq."""

    images: np.ndarray
    """Photos (B, H, W, C), RGB (C = 3) or grey (C = 1)."""
    masks: np.ndarray | None
    """Weights of restored pixels (B, H, W): above 0 in missing regions, below 1 in their margin, where the photo is
    blended in; None for networks without a mask."""
    filled: np.ndarray
    """The same as ``images``, but with the missing regions filled for the network."""
    repeats_edge: bool
    """True if mirroring repeats the edge pixel, as inpainting networks expect; False if it mirrors about it."""
    top: int
    left: int
    height: int
    width: int

    @property
    def batch(self) -> int:
        """Number of photos in the batch."""
        return len(self.images)

    @classmethod
    def whole(cls, images: np.ndarray, masks: np.ndarray | None, facts: Facts) -> "Source":
        """The whole photos, their sides padded to multiples of ``facts.multiple_of``."""
        height, width = (round_up(side, facts.multiple_of) for side in images.shape[1:3])
        filled = images if masks is None else _with_filled_holes(images, masks > 0, facts.hole_fill)
        return cls(images, masks, filled, facts.has_mask, 0, 0, height, width)

    def with_margin(self, facts: Facts) -> "Source":
        """The whole photos with ``facts.margin`` mirrored pixels on every side, padded as in ``whole``."""
        height, width = (round_up(side + 2 * facts.margin, facts.multiple_of) for side in self.images.shape[1:3])
        return replace(self, top=-facts.margin, left=-facts.margin, height=height, width=width)

    def region(self, rows: slice, columns: slice) -> "Source":
        """A part of this region; the slices must have a start and a stop."""
        place = {"top": self.top + rows.start, "left": self.left + columns.start}
        return replace(self, **place, height=rows.stop - rows.start, width=columns.stop - columns.start)

    def without_mask(self) -> "Source":
        """The whole photos without their masks and without padding."""
        height, width = self.images.shape[1:3]
        return replace(self, masks=None, filled=self.images, top=0, left=0, height=height, width=width)

    def turned(self, quarter_turns: int, mirrored: bool) -> "Source":
        """The whole photos rotated anticlockwise, then mirrored left to right if ``mirrored``; views, not copies."""
        images, filled = (turn(array, quarter_turns, mirrored) for array in (self.images, self.filled))
        masks = None if self.masks is None else turn(self.masks, quarter_turns, mirrored)
        sides = (self.width, self.height) if quarter_turns % 2 else (self.height, self.width)
        return Source(images, masks, filled, self.repeats_edge, 0, 0, *sides)

    def rows(self, start: int, stop: int) -> Tensor:
        """Rows of lq (B, C', stop - start, width), float32 on the CPU: RGB and, for inpainting, a mask (1 = hole)."""
        # Cut the piece out, mirrored where it reaches beyond the photo.
        rows = self._indices(self.top + start, self.top + stop, self.images.shape[1])
        columns = self._indices(self.left, self.left + self.width, self.images.shape[2])
        piece = to_float(_pick(self.filled, rows, columns)).astype(np.float32, copy=False)
        # Copy, because numpy aligns memory otherwise than torch, and the rounding of convolutions depends on it.
        lq = rearrange(torch.from_numpy(np.ascontiguousarray(piece)), "b h w c -> b c h w").contiguous()
        lq = lq.expand(-1, 3, -1, -1)

        # Append the mask for inpainting networks.
        if self.masks is None:
            return lq
        holes = torch.from_numpy(_pick(self.masks, rows, columns) > 0).float()[:, None]
        return torch.cat([lq, holes], dim=1)

    def photo_rows(self, start: int, stop: int) -> Tensor:
        """The same rows as ``rows`` gives (B, 3, stop - start, width), but as they were before holes were filled."""
        return replace(self, masks=None, filled=self.images).rows(start, stop)

    def weights(self, start: int, stop: int) -> Tensor:
        """The weights of restored pixels in rows of lq (B, 1, stop - start, width), float32 on the CPU."""
        assert self.masks is not None
        rows = self._indices(self.top + start, self.top + stop, self.images.shape[1])
        columns = self._indices(self.left, self.left + self.width, self.images.shape[2])
        return torch.from_numpy(_pick(self.masks, rows, columns).astype(np.float32))[:, None]

    def _indices(self, start: int, stop: int, side: int) -> slice | np.ndarray:
        if start >= 0 and stop <= side:
            return slice(start, stop)
        return mirror(np.arange(start, stop), side, repeat_edge=self.repeats_edge)


@dataclass(frozen=True)
class OutputImages:
    """Arrays that restored rows are written to, in the data type of the result."""

    images: np.ndarray
    """Result (B, H, W, C), RGB (C = 3) or grey (C = 1)."""
    clips: bool
    """True if floats are clipped to [0, 1]; integers always are."""
    neutral: Tensor | None = None
    """(B,) bool, True for RGB photos whose result is grey as well; None if no photo's is."""

    @classmethod
    def like(
        cls, source: Source, scale: int, dtype: np.dtype, *, clips: bool, channels: int | None = None
    ) -> "OutputImages":
        """Empty arrays, ``scale`` times the size of the source's photos, and with as many channels if not given.

        With ``clips``, the result of a photo that is stored as RGB but has only greys is grey, too.
        """
        batch, height, width, own = source.images.shape
        neutral = torch.tensor([_is_neutral(image) for image in source.images]) if clips and own == 3 else None
        images = np.empty((batch, scale * height, scale * width, channels or own), dtype)
        return cls(images, clips, neutral if neutral is not None and neutral.any() else None)

    def write(self, top: int, rows: Tensor) -> None:
        """Write rows (B, 3, h, w), the first to row ``top``.

        Rows or columns outside the image are padding and are discarded.
        """
        for start in range(0, rows.shape[2], _ROWS_AT_ONCE):  # a conversion copies, so few rows at a time
            some = rows[:, :, start : start + _ROWS_AT_ONCE]
            place = self.images[:, top + start : top + start + some.shape[2]]
            some = some[:, :, : place.shape[1], : place.shape[2]].float()
            # Grey photos take the mean of the three channels.
            if self.images.shape[-1] == 1:
                some = some.mean(dim=1, keepdim=True)
            elif self.neutral is not None:
                grey = some.mean(dim=1, keepdim=True)
                some = torch.where(self.neutral.to(some.device)[:, None, None, None], grey, some)
            if self.clips:
                some = some.clamp(0, 1)
            place[...] = to_kind(rearrange(some, "b c h w -> b h w c").cpu().numpy(), self.images.dtype)


def round_up(side: int, multiple: int) -> int:
    """The smallest multiple of ``multiple`` that is not below ``side``."""
    return math.ceil(side / multiple) * multiple


def mirror(index: np.ndarray, side: int, *, repeat_edge: bool) -> np.ndarray:
    """Map indices into 0 ... side-1 by reflection (numpy.pad's "symmetric" or "reflect")."""
    period = 2 * side if repeat_edge else max(2 * side - 2, 1)
    index = index % period
    return np.where(index < side, index, period - index - int(repeat_edge))


def turn(images: np.ndarray, quarter_turns: int, mirrored: bool) -> np.ndarray:
    """Rotate images (B, H, W, ...) anticlockwise, then mirror them left to right if ``mirrored``; a view."""
    turned = np.rot90(images, quarter_turns, axes=(1, 2))
    return turned[:, :, ::-1] if mirrored else turned


def turn_back(images: np.ndarray, quarter_turns: int, mirrored: bool) -> np.ndarray:
    """Undo ``turn``; the result is a view, too."""
    return np.rot90(images[:, :, ::-1] if mirrored else images, -quarter_turns, axes=(1, 2))


def _with_filled_holes(images: np.ndarray, holes: np.ndarray, fill: HoleFill) -> np.ndarray:
    """A copy of the images (B, H, W, C) with the holes (B, H, W) filled."""
    if fill == "membrane":
        filled = [fill_photo(image, hole) for image, hole in zip(images, holes, strict=True)]
        return filled[0][None] if len(filled) == 1 else np.stack(filled)
    return np.where(holes[..., None], 0, images).astype(images.dtype, copy=False)


def _is_neutral(image: np.ndarray) -> bool:
    """Return whether all three channels of a photo H x W x 3 are equal; most colour photos differ in the first rows."""
    return all(
        bool((rows[:, :, :1] == rows[:, :, 1:]).all())
        for rows in (image[top : top + _ROWS_AT_ONCE] for top in range(0, len(image), _ROWS_AT_ONCE))
    )


def _pick(array: np.ndarray, rows: slice | np.ndarray, columns: slice | np.ndarray) -> np.ndarray:
    return array[:, rows][:, :, columns]


def check_image(image: np.ndarray) -> None:
    """Check that ``Source`` can hold an array.

    Raises:
        ImageError: the array is not an image, or it has NaN or infinite values.
    """
    if image.ndim not in (2, 3) or (image.ndim == 3 and image.shape[2] not in (1, 3)) or not image.size:
        raise ImageError(
            f"an image is H x W, H x W x 1 or H x W x 3 (no alpha), not {' x '.join(map(str, image.shape))}"
        )
    if image.dtype not in (np.uint8, np.uint16) and image.dtype.kind != "f":
        raise ImageError(f"pixels must be uint8, uint16 or float with white at 1, not {image.dtype}")
    if image.dtype.kind == "f" and not np.isfinite(image).all():
        raise ImageError("the image holds NaN or infinite values")
