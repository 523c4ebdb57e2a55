"""Read shards: plain tar files of photos, from which single photos are read without unpacking.

In: .tar files (USTAR, uncompressed) as tools/pack_photos.py or ``tar cf`` write them. Out: names and photos. The
headers are read once. Each photo is then one read at a known offset, which uses no shared file position, so any number
of threads and forked processes may read at the same time.
"""

import mmap
import os
import tarfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from diffir.data.packed import PACKED_SUFFIXES, decode
from diffir.errors import ConfigError
from diffir.image_io import Photo


@dataclass(frozen=True)
class _Place:
    """The position of a photo: its shard, and offset and length in bytes."""

    shard: Path
    offset: int
    length: int


class ShardedPhotos:
    """A photo source that reads from one or several tar files."""

    def __init__(self, shards: Sequence[Path]) -> None:
        self._places: dict[str, _Place] = {}
        for shard in shards:
            for name, place in _index(shard):
                if name in self._places:
                    raise ConfigError(f"{name} is in {self._places[name].shard} and in {shard}: keep one")
                self._places[name] = place
        self.names: Sequence[str] = sorted(self._places)
        self._files: dict[Path, int] = {}

    def read(self, name: str) -> Photo:
        """Read the photo of a name.

        Raises:
            ImageError: the photo is corrupt, or is not PNG, JPEG or WebP.
        """
        place = self._places[name]
        content = os.pread(self._file(place.shard), place.length, place.offset)
        return decode(content, f"{place.shard}: {name}")

    def _file(self, shard: Path) -> int:
        if shard not in self._files:
            opened = os.open(shard, os.O_RDONLY)
            if self._files.setdefault(shard, opened) != opened:  # another thread has opened it meanwhile
                os.close(opened)
        return self._files[shard]

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "_files": {}}  # open files cannot be sent to another process, which opens its own

    def __del__(self) -> None:
        for file in getattr(self, "_files", {}).values():
            os.close(file)


def _index(shard: Path) -> list[tuple[str, _Place]]:
    """Return names and places of the photos in a tar file, without hidden files.

    Raises:
        ConfigError: the file is no plain tar file, or an entry claims a size that the file does not have.
    """
    try:
        with shard.open("rb") as file:
            size = os.fstat(file.fileno()).st_size
            # Mapped, a forged size of gigabytes ends with the file; read as a file, it would be asked of the memory.
            with (
                mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as content,
                tarfile.open(fileobj=content, mode="r:") as archive,
            ):
                return [place for member in archive if (place := _place(shard, member, size)) is not None]
    except (tarfile.TarError, OSError, ValueError, OverflowError) as error:  # of tarfile, for headers that lie
        raise ConfigError(f"{shard} is not a whole, plain tar file ({' '.join(str(error).split())})") from error


def _place(shard: Path, member: tarfile.TarInfo, size: int) -> tuple[str, _Place] | None:
    """Return name and place of a photo; None for other entries.

    Args:
        size: bytes of the shard.
    """
    name = member.name.removeprefix("./")
    if not member.isreg() or Path(name).suffix.lower() not in PACKED_SUFFIXES or Path(name).name.startswith("."):
        return None
    if member.issparse() or member.size < 0 or member.offset_data + member.size > size:
        kind = "is sparse" if member.issparse() else f"is of {member.size:,} bytes"
        raise ValueError(f"its entry {name!r} {kind}, in a file of {size:,}")
    return name, _Place(shard, member.offset_data, member.size)
