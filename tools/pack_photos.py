"""Pack a folder of photos for training into one LMDB (as BasicSR writes them) or one tar file.

python tools/pack_photos.py FOLDER OUT.lmdb|OUT.tar [--recursive] [--skip_damaged]
Every photo is read once, so a damaged one is found here. PNG, JPEG and WebP are kept byte for byte, others become PNG;
the names keep their folders. An LMDB appears when it is complete; a tar file, too.
"""

import argparse
import io
import shutil
import sys
import tarfile
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np

from diffir.data.lmdb_photos import META_INFO, import_lmdb, key_of
from diffir.data.packed import PACKED_SUFFIXES
from diffir.data.photo_names import by_stem
from diffir.errors import DiffIRError
from diffir.files import write_atomically
from diffir.image_io import list_images, read_image, write_image

LARGEST_MAP = 2**40  # bytes: address space of the database, not space on the disk
COMPRESSION = 1  # third column of BasicSR's list: level of PNG; nobody reads it


class Packed(NamedTuple):
    """One photo as it is stored."""

    name: str
    content: bytes
    shape: tuple[int, ...]


def photos_of(folder: Path, *, recursive: bool, skip_damaged: bool) -> Iterator[Packed]:
    """Photos in the order of their names, each checked."""
    for path in list_images(folder, recursive=recursive, with_plugins=False):
        try:
            pixels = read_image(path).pixels
        except DiffIRError as error:
            if not skip_damaged:
                raise SystemExit(f"{error}; --skip_damaged leaves such files out") from error
            print(f"left out: {error}", file=sys.stderr)
            continue
        name, content = path.relative_to(folder), path.read_bytes()
        if path.suffix.lower() not in PACKED_SUFFIXES:
            name, content = name.with_suffix(".png"), as_png(pixels)
        yield Packed(name.as_posix(), content, pixels.shape)


def as_png(pixels: np.ndarray) -> bytes:
    """A PNG of the same depth; floats become 8 bit."""
    with tempfile.TemporaryDirectory() as scratch:
        path = Path(scratch) / "photo.png"
        write_image(path, pixels)
        return path.read_bytes()


def write_shard(target: Path, photos: Iterator[Packed]) -> int:
    """A plain USTAR file without times and owners: equal photos make equal files. Returns the number of photos."""
    with write_atomically(target) as file, tarfile.open(fileobj=file, mode="w", format=tarfile.USTAR_FORMAT) as archive:
        for photo in photos:
            member = tarfile.TarInfo(photo.name)
            member.size = len(photo.content)
            archive.addfile(member, io.BytesIO(photo.content))
        return len(archive.getmembers())


def write_database(target: Path, photos: Iterator[Packed]) -> int:
    """An LMDB and its list. Returns the number of photos."""
    lmdb = import_lmdb()
    if target.exists():
        raise SystemExit(f"{target} exists already: choose another name or remove it")
    unfinished = target.with_name(f".{target.name}.unfinished")
    shutil.rmtree(unfinished, ignore_errors=True)
    lines = []
    with lmdb.open(str(unfinished), map_size=LARGEST_MAP) as database:
        for photo in photos:
            with database.begin(write=True) as transaction:
                transaction.put(key_of(photo.name).encode(), photo.content)
            lines.append(f"{photo.name} ({','.join(map(str, photo.shape))}) {COMPRESSION}\n")
    (unfinished / META_INFO).write_text("".join(lines), "utf-8")
    unfinished.replace(target)
    return len(lines)


def main(arguments: Sequence[str] | None = None) -> None:
    """Read, pack, say how many."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("target", type=Path)
    parser.add_argument("--recursive", action="store_true", help="also folders of the folder")
    parser.add_argument("--skip_damaged", action="store_true", help="leave out what cannot be read instead of stopping")
    args = parser.parse_args(arguments)
    writers = {".tar": write_shard, ".lmdb": write_database}
    if args.target.suffix not in writers:
        raise SystemExit(f"{args.target}: the name must end in .lmdb or .tar")
    found = list_images(args.folder, recursive=args.recursive, with_plugins=False) if args.folder.is_dir() else []
    if not found:
        raise SystemExit(f"no photo in {args.folder}")
    try:
        by_stem(path.relative_to(args.folder).as_posix() for path in found)  # keys have no suffix
        photos = photos_of(args.folder, recursive=args.recursive, skip_damaged=args.skip_damaged)
        count = writers[args.target.suffix](args.target, photos)
    except (DiffIRError, ValueError) as error:  # ValueError: a name too long for a tar file
        raise SystemExit(str(error)) from error
    print(f"{args.target}: {count} photos")


if __name__ == "__main__":
    main()
