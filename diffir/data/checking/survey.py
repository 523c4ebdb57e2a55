"""One reading of all images of a set: sizes, kinds, fingerprints, and how pairs agree; several threads read at once.

In: a ``Part``, which is what a card, a folder or a section of an option file comes down to. Out: a ``Survey``, in the
order of the names. A file that cannot be read is an entry, not an error.
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
    """Photos whose names are their paths: what a card finds."""

    def __init__(self, paths: Sequence[Path]) -> None:
        self.names: Sequence[str] = [str(path) for path in paths]

    def read(self, name: str) -> Photo:
        """See ``PhotoSource``."""
        return read_image(name)


@dataclass(frozen=True)
class Part:
    """Images that belong together, with or without damaged partners."""

    title: str
    clean: PhotoSource
    pairs: Sequence[tuple[str, str | None]]
    """Name in ``clean``, and name in ``damaged`` if it has a partner; a clean photo may have several."""
    damaged: PhotoSource | None = None
    patch: int = 0
    """Pixels a side that will be cut from the clean images; 0: none."""
    are_masks: bool = False
    """Masks: they may look alike."""


@dataclass(frozen=True)
class ImageFacts:
    """What one file holds."""

    height: int
    width: int
    kinds: tuple[str, ...]
    """What is unlike 8-bit RGB: grey, 16 bit, float, alpha, CMYK; and ``16 bit`` and the like together."""
    sha256: str
    """Of the pixels."""
    look: int | None
    """Perceptual hash, 64 bits; None without structure."""
    landmarks: np.ndarray = field(compare=False)
    """Hashes of its places, uint64."""


@dataclass(frozen=True)
class Entry:
    """One image of a part, and its partner; what could not be read is the reason instead."""

    clean_name: str
    clean: ImageFacts | str
    damaged_name: str | None = None
    damaged: ImageFacts | str | None = None
    likeness: Likeness | None = None


@dataclass(frozen=True)
class Survey:
    """What was found in a part."""

    part: Part
    entries: Sequence[Entry]

    def clean_images(self) -> dict[str, ImageFacts]:
        """Name -> facts of every clean file that could be read, once each."""
        return {entry.clean_name: entry.clean for entry in self.entries if isinstance(entry.clean, ImageFacts)}


def survey(part: Part, threads: int) -> Iterator[Entry]:
    """Entries in order, as they are read."""
    pool = ThreadPoolExecutor(threads)
    try:
        yield from pool.map(lambda pair: _entry(part, *pair), part.pairs)
    finally:
        pool.shutdown(cancel_futures=True)  # an interrupted survey does not read to the end


def _entry(part: Part, clean_name: str, damaged_name: str | None) -> Entry:
    clean_photo = _read(part.clean, clean_name)
    clean = clean_photo if isinstance(clean_photo, str) else _facts(clean_photo)
    if damaged_name is None or part.damaged is None:
        return Entry(clean_name, clean)
    damaged_photo = _read(part.damaged, damaged_name)
    damaged = damaged_photo if isinstance(damaged_photo, str) else _facts(damaged_photo)
    alike = None
    if isinstance(clean_photo, Photo) and isinstance(damaged_photo, Photo):
        alike = likeness(damaged_photo.pixels, clean_photo.pixels)
    return Entry(clean_name, clean, damaged_name, damaged, alike)


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
