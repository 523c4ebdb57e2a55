"""Look at a file: the diagnosis of its photo, or of the first frame of an animation or of pages.

In: a path. Out: a ``Diagnosis``. Colours under transparent pixels are replaced first, as for restoring.
"""

from pathlib import Path

import numpy as np

from diffir.batch.alpha import fill_hidden
from diffir.diagnosis import Diagnosis, diagnose
from diffir.image_io import MAX_PIXELS, frames_of, jpeg_quality, read_file


def look_at(path: Path, *, max_pixels: int = MAX_PIXELS) -> tuple[Diagnosis, np.ndarray]:
    """Return the diagnosis of a file, and the pixels H x W x C that it is about.

    Raises:
        ImageError: the file cannot be read or has more than ``max_pixels``.
    """
    photo = frames_of(read_file(path, max_pixels=max_pixels))[0]
    pixels = photo.pixels if photo.alpha is None else fill_hidden(photo.pixels, photo.alpha)
    return diagnose(pixels, jpeg_quality(path)), pixels
