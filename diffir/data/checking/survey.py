"""Read all images of a set once, in several threads: sizes, kinds, fingerprints, and how well pairs agree.

In: a ``Part``, to which a card, a folder or a section of an option file is reduced. Out: a ``Survey`` in the order of
the names. A file that cannot be read becomes an entry with the reason, not an error.
"""

from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from diffir.data.checking.fingerprints import landmarks, look, pixels_sha256
from diffir.data.checking.likeness import Likeness, likeness
from diffir.data.photo_sources import PhotoSource
from diffir.errors import DiffIRError
from diffir.image_io import Photo, read_image


class FilePhotos:
    """A photo source whose names are paths of files, as the images of a card are."""

    def __init__(self, paths: Sequence[Path]) -> None:
        self.names: Sequence[str] = [str(path) for path in paths]

    def read(self, name: str) -> Photo:
        """Read the photo of a path, see ``PhotoSource.read``."""
        return read_image(name)


@dataclass(frozen=True)
class Part:
    """Images that are surveyed together, with or without degraded partners."""

    title: str
    """Name of the part in the report."""
    clean: PhotoSource
    pairs: Sequence[tuple[str, str | None]]
    """Name in ``clean``, and name in ``degraded`` if it has a partner; a clean photo may have several."""
    degraded: PhotoSource | None = None
    patch: int = 0
    """Side in pixels of the patches that training cuts from the clean images; 0: none."""
    are_masks: bool = False
    """True for masks, which may look alike."""


@dataclass(frozen=True)
class ImageFacts:
    """Size, kind and fingerprints of one image file."""

    height: int
    width: int
    kinds: tuple[str, ...]
    """All differences from 8-bit RGB, among grey, 16 bit, float, alpha and CMYK."""
    sha256: str
    """SHA-256 of shape, type and pixel values."""
    look: int | None
    """Perceptual hash of 64 bits; None for an image without structure."""
    landmarks: np.ndarray = field(compare=False)
    """Hashes of windows around local maxima, (n,) uint64."""


@dataclass(frozen=True)
class Entry:
    """One image of a part and its partner; a file that cannot be read is replaced by the reason."""

    clean_name: str
    clean: ImageFacts | str
    degraded_name: str | None = None
    degraded: ImageFacts | str | None = None
    likeness: Likeness | None = None


@dataclass(frozen=True)
class Survey:
    """A part and what was found in its files."""

    part: Part
    entries: Sequence[Entry]

    def clean_images(self) -> dict[str, ImageFacts]:
        """Mapping from name to facts of every clean file that could be read."""
        return {entry.clean_name: entry.clean for entry in self.entries if isinstance(entry.clean, ImageFacts)}


def survey(part: Part, threads: int) -> Iterator[Entry]:
    """Read a part and yield its entries in order."""
    pool = ThreadPoolExecutor(threads)
    try:
        yield from pool.map(lambda pair: _entry(part, *pair), part.pairs)
    finally:
        pool.shutdown(cancel_futures=True)  # an interrupted survey must not read the remaining files


def _entry(part: Part, clean_name: str, degraded_name: str | None) -> Entry:
    clean_photo = _read(part.clean, clean_name)
    clean = clean_photo if isinstance(clean_photo, str) else _facts(clean_photo)
    if degraded_name is None or part.degraded is None:
        return Entry(clean_name, clean)
    degraded_photo = _read(part.degraded, degraded_name)
    degraded = degraded_photo if isinstance(degraded_photo, str) else _facts(degraded_photo)
    alike = None
    if isinstance(clean_photo, Photo) and isinstance(degraded_photo, Photo):
        alike = likeness(degraded_photo.pixels, clean_photo.pixels)
    return Entry(clean_name, clean, degraded_name, degraded, alike)


def _read(source: PhotoSource, name: str) -> Photo | str:
    try:
        return source.read(name)
    except DiffIRError as error:
        return str(error)


def _facts(photo: Photo) -> ImageFacts:
    kinds = []
    if photo.pixels.shape[2] == 1:
        kinds.append("grey")
    if photo.pixels.dtype != np.uint8:
        kinds.append("16 bit" if photo.pixels.dtype == np.uint16 else "float")
    if photo.alpha is not None:
        kinds.append("alpha")
    if "CMYK" in photo.note:
        kinds.append("CMYK")
    height, width = photo.pixels.shape[:2]
    pixels = photo.pixels
    return ImageFacts(height, width, tuple(kinds), pixels_sha256(pixels), look(pixels), landmarks(pixels))
