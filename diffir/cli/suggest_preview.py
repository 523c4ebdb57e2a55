"""The sheet of ``diffir suggest --preview``: a telling part of each photo, before and after each suggested network.

In: the pixels of a photo, its diagnosis and suggestions. Out: a row of pictures, and the sheet. Only the part is
restored, so statistics of the whole photo and its prior may differ a little from those of ``diffir restore``.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

import cv2
import numpy as np

from diffir.api import load
from diffir.degradations.preview import Picture, contact_sheet
from diffir.diagnosis.suggestions import TONES
from diffir.image_io import write_image
from diffir.pixels import as_rgb, to_float, to_kind

if TYPE_CHECKING:
    from diffir.diagnosis import Diagnosis, Suggestion
    from diffir.photo_restorer import Restorer

_CELL = 320  # pixels a side of each picture
_MARGIN = 32  # pixels around the part that are restored with it
_STRONG_EDGE = 60.0  # sum of Sobel's operator; stronger edges are not more telling


def preview_row(
    file: Path, pixels: np.ndarray, diagnosis: Diagnosis, suggestions: Sequence[Suggestion], device: str
) -> list[Picture]:
    """Return the photo's own picture and one for each suggestion; those that enlarge show a smaller part.

    Args:
        pixels: H x W x C, RGB or grey.
    """
    image = to_kind(to_float(as_rgb(pixels)), np.uint8)
    enlarged = 2
    if diagnosis.faults & TONES:  # these are seen in the whole photo
        image, enlarged = _shrunk(image), 1
    findings = ", ".join(finding.name for finding in diagnosis.findings) or "nothing seems wrong"
    row = [Picture(_part(image, _CELL // enlarged, 0)[0], f"{file.name}: {findings}", enlarged)]
    for one in suggestions:
        if not one.networks:
            continue
        restorer = _restorer(one.name, device)
        scale = restorer.scale
        side = _CELL // (enlarged if scale == 1 else scale)
        part, (top, left), (height, width) = _part(image, side, _MARGIN)
        if scale > 1 and not any(picture.caption.endswith("larger") for picture in row):
            row.append(
                Picture(part[top : top + height, left : left + width], f"{file.name}: {scale} times larger", scale)
            )
        restored = restorer.restore(part)[scale * top :, scale * left :][: scale * height, : scale * width]
        row.append(Picture(restored, f"-n {one.name}", enlarged if scale == 1 else 1))
    return row


def draw_sheet(path: Path, rows: Sequence[Sequence[Picture]]) -> None:
    """Write the sheet; the first picture of each row is the photo itself."""
    write_image(path, contact_sheet(rows, cell=_CELL))


@cache
def _restorer(name: str, device: str) -> Restorer:
    return load(name, device=device)


def _shrunk(image: np.ndarray) -> np.ndarray:
    factor = _CELL / max(image.shape[:2])
    return image if factor >= 1 else cv2.resize(image, None, fx=factor, fy=factor, interpolation=cv2.INTER_AREA)


def _most_edges(image: np.ndarray, side: int) -> tuple[int, int]:
    """Row and column in the middle of the part with the strongest edges, which noise, blocks and blur spoil most."""
    smooth = cv2.GaussianBlur(cv2.cvtColor(image, cv2.COLOR_RGB2GRAY).astype(np.float32), (0, 0), 2)
    edges = np.minimum(np.hypot(cv2.Sobel(smooth, -1, 1, 0), cv2.Sobel(smooth, -1, 0, 1)), _STRONG_EDGE)
    sums = cv2.boxFilter(edges, -1, (side, side), normalize=False, borderType=cv2.BORDER_CONSTANT)
    row, column = np.unravel_index(int(sums.argmax()), sums.shape)
    return int(row), int(column)


def _part(image: np.ndarray, side: int, margin: int) -> tuple[np.ndarray, tuple[int, int], tuple[int, int]]:
    """The most telling square with a margin, as far as the image goes; where the square begins in it, and its size.

    The margin begins at a multiple of 8 pixels, where the blocks of JPEG do.
    """
    sides = image.shape[:2]
    centre = _most_edges(image, min(side, *sides))
    size = min(side, sides[0]), min(side, sides[1])
    first = [min(max(centre[axis] - size[axis] // 2, 0), sides[axis] - size[axis]) for axis in (0, 1)]
    start = [max(place - margin, 0) // 8 * 8 for place in first]
    stop = [min(first[axis] + size[axis] + margin, sides[axis]) for axis in (0, 1)]
    part = np.ascontiguousarray(image[start[0] : stop[0], start[1] : stop[1]])
    return part, (first[0] - start[0], first[1] - start[1]), size
