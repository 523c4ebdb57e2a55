"""Photo sources: a folder, a list of its files, an LMDB or shards, all read through one interface.

In: a path as an option file names it. Out: a ``PhotoSource``, which has names and reads the photo of a name. A source
may be copied into worker processes and read by several threads; each process opens packed files for itself.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Protocol

import numpy as np

from diffir.data.lmdb_photos import LmdbPhotos
from diffir.data.shards import ShardedPhotos
from diffir.errors import ConfigError
from diffir.image_io import Photo, list_images, read_image
from diffir.pixels import as_rgb, to_float, to_kind
from diffir.shipped_files import own_or_shipped


class PhotoSource(Protocol):
    """A collection of photos that are read by name."""

    names: Sequence[str]
    """Paths relative to the source, with suffix, sorted or in the order of a list."""

    def read(self, name: str) -> Photo:
        """Read the photo of a name with the channels and the type of its file.

        Raises:
            ImageError: the file is missing, corrupt or not a still image; the message names it.
        """


class FolderPhotos:
    """A photo source that reads the image files of a folder."""

    def __init__(self, folder: Path, *, recursive: bool = False) -> None:
        self.folder = folder
        # Formats of optional packages are left out: camera raw files often lie beside the JPEGs made from them.
        found = list_images(folder, recursive=recursive, with_plugins=False)
        self.names: Sequence[str] = [path.relative_to(folder).as_posix() for path in found]

    def read(self, name: str) -> Photo:
        """Read the photo of a name, see ``PhotoSource.read``."""
        return read_image(self.folder / name)


class ListedPhotos:
    """A photo source that offers the photos of another source that a list names, in the order of the list."""

    def __init__(self, source: PhotoSource, names: Sequence[str]) -> None:
        self.source = source
        self.names = names

    def read(self, name: str) -> Photo:
        """Read the photo of a name, see ``PhotoSource.read``."""
        return self.source.read(name)


def open_photos(
    root: str,
    key: str,
    *,
    meta_info_file: str | None = None,
    recursive: bool = False,
    deeper: str = "recursive: true",
) -> PhotoSource:
    """Open the photo source at a path.

    Args:
        root: a folder, a folder ending in .lmdb, a file ending in .tar, or a folder that holds such files and no photo;
            also a folder that ships, such as datasets/samples/train.
        key: name of the option or flag that gives the path, for messages.
        meta_info_file: text file with the names to use, one per line, relative to ``root``.
        recursive: also read photos in folders below the folder.
        deeper: the option or flag that sets ``recursive``, for messages.

    Raises:
        ConfigError: the path does not exist or holds no photo, or the list cannot be read or names a missing photo.
        MissingDependency: the path is an LMDB, and the package for it is not installed.
    """
    source = _open(own_or_shipped(root), key, recursive=recursive or meta_info_file is not None)
    if meta_info_file is not None:
        source = ListedPhotos(source, _listed(source, root, own_or_shipped(meta_info_file)))
    if not source.names:
        hint = "" if recursive else f"; {deeper} also searches its folders"
        raise ConfigError(f"no photo in {key} {root}{hint}")
    return source


def rgb8(photo: Photo) -> np.ndarray:
    """The pixels as H x W x 3 uint8 RGB: grey becomes three equal channels, 16 bit becomes 8, alpha is left out."""
    pixels = as_rgb(photo.pixels)
    return pixels if pixels.dtype == np.uint8 else to_kind(to_float(pixels), np.uint8)


def _open(root: Path, key: str, *, recursive: bool) -> PhotoSource:
    if root.suffix == ".lmdb" and root.is_dir():
        return LmdbPhotos(root)
    if root.suffix == ".tar" and root.is_file():
        return ShardedPhotos([root])
    if not root.is_dir():
        raise ConfigError(
            f"{key} {root} is not a folder, an LMDB (folder ending in .lmdb) or a shard (.tar); "
            "datasets/README.md says where to get datasets"
        )
    folder = FolderPhotos(root, recursive=recursive)
    shards = sorted(root.glob("*.tar"))
    return ShardedPhotos(shards) if shards and not folder.names else folder


def _listed(source: PhotoSource, root: str, meta_info_file: Path) -> list[str]:
    try:
        text = meta_info_file.read_text("utf-8")
    except (OSError, UnicodeDecodeError) as error:
        reason = getattr(error, "strerror", None) or "not UTF-8 text"
        raise ConfigError(f"meta_info_file {meta_info_file} cannot be read: {reason}") from error
    lines = (line.strip() for line in text.splitlines())
    # In lists of BasicSR the size follows in brackets: "0001.png (480,480,3)".
    listed = [line.split(" (")[0] for line in lines if line and not line.startswith("#")]
    known: Mapping[str, None] = dict.fromkeys(source.names)
    missing = [name for name in listed if name not in known]
    if missing:
        raise ConfigError(
            f"{meta_info_file} names {missing[0]}, which does not exist in {root} ({len(missing)} missing)"
        )
    return listed
