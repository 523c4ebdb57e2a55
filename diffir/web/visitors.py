"""The visitors of the page, each with photos, masks and results in a folder of their own, which goes when they go.

In: uploaded files. Out: photos with a view and a small picture for the browser. Two visitors never see each other's
files: the names of folders are random.
"""

import secrets
import shutil
import threading
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from diffir.batch.own_mask import MaskKind
from diffir.errors import DiffIRError, UsageError
from diffir.image_io import read_file, write_image
from diffir.web.cache import link_or_copy
from diffir.web.settings import WebSettings
from diffir.web.views import LARGEST_CANVAS, THUMBNAIL, own_mask, write_small, write_view_of


@dataclass(frozen=True)
class ResultFile:
    """One file that was made of a photo."""

    label: str
    """What it is, such as "sample 2"; empty for the only result."""
    path: Path
    view: Path | None
    """What the browser shows of it, with the same pixels; None for a file that is no picture."""


@dataclass(frozen=True)
class Outcome:
    """What became of one photo."""

    files: tuple[ResultFile, ...] = ()
    note: str = ""
    """What the visitor should know, such as what the format of the result could not hold."""
    error: str = ""
    """One sentence that says why there is no result."""


@dataclass
class VisitorPhoto:
    """An uploaded photo, with what the browser shows of it and what was made of it."""

    name: str
    path: Path
    view: Path
    thumbnail: Path
    size: tuple[int, int]
    """Width and height in pixels."""
    mask: Path | None = None
    """Mask of the size of the photo, above 0 where something is missing."""
    own_mask: MaskKind | None = None
    """The channel of the photo that says what is missing, as long as there is no mask."""
    outcome: Outcome | None = None

    @property
    def folder(self) -> Path:
        """Folder of the photo alone."""
        return self.view.parent

    def canvas(self) -> Path:
        """The photo as large as a browser can paint on it."""
        path = self.folder / "canvas.png"
        if not path.is_file():
            write_small(read_file(self.path), path, LARGEST_CANVAS)
        return path

    def set_mask(self, mask: np.ndarray | None) -> None:
        """Keep a mask (H, W) uint8 of the size of the photo, or forget it."""
        self.mask = None
        if mask is not None:
            path = self.folder / "mask.png"
            write_image(path, mask)
            self.mask = path


@dataclass
class Visitor:
    """The photos of one visitor, in the order of their upload."""

    folder: Path
    settings: WebSettings
    photos: list[VisitorPhoto] = field(default_factory=list)
    shown: int = 0
    """Number of the photo that the page shows."""
    stop: threading.Event = field(default_factory=threading.Event)
    """Set when the visitor asks for an end or leaves; the photo in progress is given up."""

    def add(self, upload: Path) -> VisitorPhoto:
        """Take a photo in.

        Raises:
            DiffIRError: the file is no photo or too large, or there are too many; the message is one sentence that
                begins with the name of the file.
        """
        name = upload.name
        if len(self.photos) >= self.settings.max_photos:
            raise UsageError(
                f"{name}: this page takes {self.settings.max_photos} photos at a time; restore these first"
            )
        if upload.stat().st_size > self.settings.max_bytes:
            raise UsageError(f"{name}: the file is larger than {self.settings.max_bytes / 1e6:.0f} MB, the limit here")
        folder = self.folder / secrets.token_hex(8)
        path = folder / "photo" / name
        link_or_copy(upload, path)
        try:
            content = read_file(path, max_pixels=self.settings.max_pixels)
            size = write_view_of(content, folder / "view.png")
            write_small(content, folder / "small.png", THUMBNAIL)
        except Exception as error:
            shutil.rmtree(folder, ignore_errors=True)
            if isinstance(error, DiffIRError):
                raise DiffIRError(without_path(str(error), path)) from error
            raise
        photo = VisitorPhoto(name, path, folder / "view.png", folder / "small.png", size, own_mask=own_mask(content))
        self.photos.append(photo)
        return photo

    @property
    def photo(self) -> VisitorPhoto | None:
        """The photo that the page shows."""
        return self.photos[min(self.shown, len(self.photos) - 1)] if self.photos else None

    def clear(self) -> None:
        """Forget all photos and remove their files."""
        self.stop.set()
        photos, self.photos, self.shown = self.photos, [], 0
        for photo in photos:
            shutil.rmtree(photo.folder, ignore_errors=True)

    def remove_strays(self, photos: Sequence[VisitorPhoto]) -> None:
        """Remove what was still written for photos that the visitor has removed meanwhile, or left behind."""
        kept = {photo.folder for photo in self.photos}
        for photo in photos:
            if photo.folder not in kept:
                shutil.rmtree(photo.folder, ignore_errors=True)


class Visitors:
    """All visitors that are there now, by the key of their session."""

    def __init__(self, folder: Path, settings: WebSettings) -> None:
        """
        Args:
            folder: in which each visitor gets a folder.
        """
        self._folder = folder
        self._settings = settings
        self._present: dict[str, Visitor] = {}

    def __len__(self) -> int:
        return len(self._present)

    def of(self, key: str) -> Visitor:
        """The visitor of a session, who is new if the session is."""
        if key not in self._present:
            self._present[key] = Visitor(self._folder / secrets.token_hex(8), self._settings)
        return self._present[key]

    def leave(self, key: str) -> None:
        """Stop the work for a visitor who has left, and remove all files."""
        visitor = self._present.pop(key, None)
        if visitor is not None:
            visitor.clear()
            shutil.rmtree(visitor.folder, ignore_errors=True)


def without_path(message: str, path: Path) -> str:
    """A message that names a file by its name alone, since visitors know nothing of the folders of this machine."""
    return message.replace(str(path), path.name).replace(f"{path.parent}/", "")
