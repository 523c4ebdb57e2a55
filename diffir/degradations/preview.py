"""Contact sheets: rows of pictures with captions; each picture is the middle of an image at its own pixels.

In: images H x W x 3 or, with a mask, H x W x 4: uint8, uint16 or float around [0, 1]. Out: one array, uint8. Images are
never shrunk, because that would hide the degradation; smaller low-quality images are enlarged by repeating pixels.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from diffir.degradations.recipes import Recipe, cut_to_multiple, degrade_image, seed_for_photo
from diffir.pixels import as_rgb, to_float, to_kind

_GAP = 8  # pixels between pictures
_LETTERS = 13  # height in pixels
_HOLE = np.array([1.0, 0.0, 0.6], dtype=np.float32)  # pink, which is rare in photos


@dataclass(frozen=True, eq=False)
class Picture:
    """One picture of the sheet, with its caption."""

    image: np.ndarray
    """h x w x 3 RGB, or h x w x 4 with a mask, which is 1 in holes; holes are tinted."""
    caption: str
    enlarged: int = 1
    """Factor of enlargement: each pixel becomes a square of this side."""


def preview_sheet(photos: Mapping[str, np.ndarray], recipe: Recipe, *, seed: int = 0, draws: int = 4) -> np.ndarray:
    """Draw each photo beside ``draws`` degraded versions of it, as H x W x 3 uint8 RGB.

    Args:
        photos: name -> clean image, H x W x C, RGB or grey: uint8, uint16 or float in [0, 1].
        seed: seed of the first draw; ``diffir degrade`` makes the same pixels from the same name and seed.
    """
    rows = []
    for name, photo in photos.items():
        clean = cut_to_multiple(as_rgb(photo), recipe.scale)
        seeds = range(seed, seed + draws)
        rows.append(
            preview_row(name, clean, recipe, {s: degrade_image(clean, recipe, seed_for_photo(name, s)) for s in seeds})
        )
    return contact_sheet(rows)


def preview_row(name: str, clean: np.ndarray, recipe: Recipe, draws: Mapping[int, np.ndarray]) -> list[Picture]:
    """Return one row: the clean photo, then its low-quality images by their seeds."""
    degraded = [Picture(lq, f"{recipe.name}  seed {seed}", recipe.scale) for seed, lq in draws.items()]
    return [Picture(clean, name), *degraded]


def contact_sheet(rows: Sequence[Sequence[Picture]], *, cell: int = 256) -> np.ndarray:
    """Draw the sheet as H x W x 3 uint8 RGB; a picture shows at most the middle ``cell`` x ``cell`` pixels."""
    # Find the size of the sheet.
    drawn = [[_shown(picture, cell) for picture in row] for row in rows]
    width = max(image.shape[1] for row in drawn for image in row)
    heights = [max(image.shape[0] for image in row) for row in drawn]
    strip = _LETTERS + _GAP
    columns = max(map(len, rows))
    sheet = Image.new(
        "RGB", (_GAP + columns * (width + _GAP), _GAP + sum(heights) + len(rows) * (strip + _GAP)), (255, 255, 255)
    )
    # Paste the pictures row by row, each with its caption below.
    pen, font = ImageDraw.Draw(sheet), ImageFont.load_default(_LETTERS)
    top = _GAP
    for row, images, height in zip(rows, drawn, heights, strict=True):
        for number, (picture, image) in enumerate(zip(row, images, strict=True)):
            left = _GAP + number * (width + _GAP)
            sheet.paste(Image.fromarray(image), (left, top))
            pen.text((left, top + height + _GAP // 4), _fitting(picture.caption, font, width), (0, 0, 0), font)
        top += height + strip + _GAP
    return np.array(sheet)


def _shown(picture: Picture, cell: int) -> np.ndarray:
    """Return the visible part of a picture, uint8: its middle, enlarged, with tinted holes."""
    side = max(1, cell // picture.enlarged)
    height, width = picture.image.shape[:2]
    top, left = max(0, (height - side) // 2), max(0, (width - side) // 2)
    part = to_float(picture.image)[top : top + side, left : left + side]
    if part.shape[2] == 4:
        mask = part[:, :, 3:]
        part = part[:, :, :3] * (1 - 0.6 * mask) + 0.6 * mask * _HOLE
    return to_kind(part, np.uint8).repeat(picture.enlarged, axis=0).repeat(picture.enlarged, axis=1)


def _fitting(text: str, font: ImageFont.FreeTypeFont | ImageFont.ImageFont, width: int) -> str:
    """Shorten the text until it fits the width in pixels."""
    if font.getlength(text) <= width:
        return text
    while text and font.getlength(text + "...") > width:
        text = text[:-1]
    return text + "..."
