"""The quality that a JPEG file was saved with, from 1 to 100, by its quantisation tables.

In: a path. Out: the quality of the tables of the Independent JPEG Group, on which most programs base theirs, that come
closest to those of the file; None for files of other kinds. Only the header is read. Source: ITU-T T.81, table K.1, and
``jpeg_quality_scaling`` of libjpeg.
"""

from pathlib import Path

import numpy as np
from PIL import Image

from diffir.image_io.quiet import quiet_decoders

# Table K.1 of ITU-T T.81 for brightness, row by row.
_STANDARD = np.array([
    16, 11, 10, 16, 24, 40, 51, 61, 12, 12, 14, 19, 26, 58, 60, 55,
    14, 13, 16, 24, 40, 57, 69, 56, 14, 17, 22, 29, 51, 87, 80, 62,
    18, 22, 37, 56, 68, 109, 103, 77, 24, 35, 55, 64, 81, 104, 113, 92,
    49, 64, 78, 87, 103, 121, 120, 101, 72, 92, 95, 98, 112, 100, 103, 99,
])  # fmt: skip


def jpeg_quality(path: str | Path) -> int | None:
    """Return the quality of a JPEG file, 1 to 100; None if it is no JPEG or cannot be read."""
    try:
        with quiet_decoders(), Image.open(path) as image:
            tables = getattr(image, "quantization", None)
    except (OSError, ValueError, SyntaxError, Image.DecompressionBombError):
        return None
    # Pillow gives the table of brightness as number 0, in whatever order of coefficients its version uses.
    if not tables or len(tables.get(0, ())) != _STANDARD.size:
        return None
    table = np.sort(np.asarray(tables[0]))
    distances = [int(np.abs(np.sort(_table(quality)) - table).sum()) for quality in range(1, 101)]
    return int(np.argmin(distances)) + 1


def _table(quality: int) -> np.ndarray:
    """The table of brightness that libjpeg makes for a quality."""
    scale = 5000 // quality if quality < 50 else 200 - 2 * quality
    return np.clip((_STANDARD * scale + 50) // 100, 1, 255)
