"""Masks of simple shapes (boxes, one half, the surroundings, all but every nth line) and masks from image files.

In: one image (1, 3 or 4, H, W) float, any device, and its ``Draw``. Out: (1, 4, H, W), see ``holes``.
Boxes: Suvorov et al., "LaMa", WACV 2022; half, surroundings and lines: Lugmayr et al., "RePaint", CVPR 2022.
Strokes are in ``shapes.strokes``.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal

import cv2
import numpy as np
import torch
from torch import Tensor

from diffir.degradations.draw import Draw
from diffir.degradations.holes import HoleStep, scaled
from diffir.errors import ConfigError, ImageError
from diffir.field_ranges import NotEmpty, Within, check_fields
from diffir.image_io import list_images, read_image
from diffir.pixels import as_rgb, to_float

Side = Literal["left", "right", "top", "bottom"]


@dataclass(frozen=True)
class Boxes(HoleStep):
    """m = union of axis-parallel boxes inside the image; the defaults are LaMa's training boxes.

    Sizes are in pixels of an image whose shorter side is 256. A box that would raise the missing share above
    ``largest_share`` is left out.
    """

    count: Annotated[tuple[int, int], Within(1, 1000)] = (1, 4)
    """Number of boxes in a mask."""
    box_size: Annotated[tuple[float, float], Within(1)] = (30.0, 150.0)
    """Side of a box, in pixels; height and width are drawn separately."""
    margin: Annotated[float, Within(0)] = 10.0
    """Smallest distance between a box and the border, in pixels."""
    largest_share: Annotated[float, Within(0, 0.99)] = 0.9
    """Largest share of the image that may be missing."""

    def __post_init__(self) -> None:
        check_fields(self)

    def mask(self, size: tuple[int, int], draw: Draw) -> Tensor:
        grain = scaled(size)
        mask = torch.zeros(1, 1, *size)
        # Add the boxes one by one, except those that make too much missing.
        for _ in range(draw.integer(*self.count)):
            boxed = mask.clone()
            spans = [self._span(side, grain, draw) for side in size]
            boxed[:, :, spans[0], spans[1]] = 1
            if boxed.mean() <= self.largest_share:
                mask = boxed
        return mask

    def _span(self, side: int, grain: float, draw: Draw) -> slice:
        # The margin shrinks on small images, so that at least one pixel is left for the box.
        margin = min(round(self.margin * grain), (side - 1) // 2)
        length = min(max(1, round(draw.uniform(*self.box_size) * grain)), side - 2 * margin)
        start = draw.integer(margin, side - margin - length)
        return slice(start, start + length)


@dataclass(frozen=True)
class Half(HoleStep):
    """m = 1 on one half of the image; if the side is odd, the larger part is kept."""

    sides: Annotated[tuple[Side, ...], NotEmpty()] = ("left", "right", "top", "bottom")
    """Halves that may be missing, of which one is drawn."""

    def __post_init__(self) -> None:
        check_fields(self)

    def mask(self, size: tuple[int, int], draw: Draw) -> Tensor:
        (height, width), side = size, draw.choose(self.sides)
        mask = torch.zeros(1, 1, height, width)
        rows = {"top": slice(0, height // 2), "bottom": slice(height - height // 2, height)}
        columns = {"left": slice(0, width // 2), "right": slice(width - width // 2, width)}
        mask[:, :, rows.get(side, slice(None)), columns.get(side, slice(None))] = 1
        return mask


@dataclass(frozen=True)
class Outpaint(HoleStep):
    """m = 1 outside one box: the image has to be continued outwards."""

    kept: Annotated[tuple[float, float], Within(0, 1)] = (0.25, 0.9)
    """Side of the kept box over the side of the image; height and width are drawn separately."""
    centred: bool = False
    """Put the box in the middle instead of at a random place."""

    def __post_init__(self) -> None:
        check_fields(self)

    def mask(self, size: tuple[int, int], draw: Draw) -> Tensor:
        mask = torch.ones(1, 1, *size)
        spans = []
        for side in size:
            length = max(1, round(draw.uniform(*self.kept) * side))
            # The place is drawn in either case, so that ``centred`` does not change later draws.
            start = draw.integer(0, side - length)
            start = (side - length) // 2 if self.centred else start
            spans.append(slice(start, start + length))
        mask[:, :, spans[0], spans[1]] = 0
        return mask


@dataclass(frozen=True)
class Lines(HoleStep):
    """m(i, j) = 0 only where i (rows), j (columns) or both (pixels) are multiples of n, drawn from ``every``."""

    every: Annotated[tuple[int, int], Within(2, 64)] = (2, 2)
    """Range of n: every nth line is kept."""
    kept: Annotated[tuple[Literal["rows", "columns", "pixels"], ...], NotEmpty()] = ("rows", "columns")
    """Kinds, of which one is drawn; "pixels" keeps one pixel of n x n, as nearest-neighbour shrinking does."""

    def __post_init__(self) -> None:
        check_fields(self)

    def mask(self, size: tuple[int, int], draw: Draw) -> Tensor:
        every, kept = draw.integer(*self.every), draw.choose(self.kept)
        mask = torch.ones(1, 1, *size)
        mask[:, :, :: 1 if kept == "columns" else every, :: 1 if kept == "rows" else every] = 0
        return mask


@dataclass(frozen=True)
class MaskFolder(HoleStep):
    """m = a mask image drawn from a folder and resized (nearest) to the image; values from 0.5 on are missing."""

    folder: str
    """Folder of mask images in any format that the package reads."""
    invert: bool = False
    """White is kept and black is missing."""
    flips: bool = True
    """Mirror half of the masks left to right, and half of them upside down."""

    def __post_init__(self) -> None:
        files = list_images(Path(self.folder)) if Path(self.folder).is_dir() else []
        if not files:
            raise ConfigError(f"folder: no images in {self.folder!r}; name a folder of mask images")
        object.__setattr__(self, "_files", files)

    def mask(self, size: tuple[int, int], draw: Draw) -> Tensor:
        # Draw a file and read it; white is missing unless the mask is inverted.
        path: Path = draw.choose(self._files)  # type: ignore[attr-defined]
        is_white = as_rgb(to_float(read_image(path).pixels)).mean(axis=2) >= 0.5
        is_missing = ~is_white if self.invert else is_white
        if is_missing.all():
            raise ImageError(f"{path}: the mask covers the whole image; white is missing, set invert if white is kept")
        # Resize it to the image; both flips are drawn even if they are not used.
        small = cv2.resize(is_missing.astype(np.float32), size[::-1], interpolation=cv2.INTER_NEAREST)
        upside_down, mirrored = draw.happens(0.5), draw.happens(0.5)
        if self.flips:
            small = small[:: -1 if upside_down else 1, :: -1 if mirrored else 1]
        mask = torch.from_numpy(np.ascontiguousarray(small))[None, None]
        # A hole that covers nearly everything can cover everything at a smaller size.
        return torch.zeros_like(mask) if bool((mask == 1).all()) else mask
