"""Pack a folder of photos for training into one LMDB (as BasicSR writes them) or one tar file.

    python tools/pack_photos.py FOLDER OUT.lmdb|OUT.tar [--recursive] [--skip_damaged]

Every photo is decoded once, so a damaged file is found here. PNG, JPEG and WebP are kept byte for byte, other formats
become PNG. Names keep their folders. The file appears under its name only when it is complete.
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

LARGEST_MAP = 2**40  # bytes of address space for the database, which does not take them on the disk
COMPRESSION = 1  # third column of BasicSR's list, the compression level of PNG; no reader uses it


class Packed(NamedTuple):
    """One photo as it is stored: its name, the bytes of its file and the shape of its pixels."""

    name: str
    content: bytes
    shape: tuple[int, ...]


def photos_of(folder: Path, *, recursive: bool, skip_damaged: bool) -> Iterator[Packed]:
    """Yield the photos of a folder in the order of their names, after decoding each once."""
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
    """Encode pixels as PNG of the same depth; floats become 8 bit."""
    with tempfile.TemporaryDirectory() as scratch:
        path = Path(scratch) / "photo.png"
        write_image(path, pixels)
        return path.read_bytes()


def write_shard(target: Path, photos: Iterator[Packed]) -> int:
    """Write a USTAR file without times and owners, so that equal photos make equal files; return their number."""
    with write_atomically(target) as file, tarfile.open(fileobj=file, mode="w", format=tarfile.USTAR_FORMAT) as archive:
        for photo in photos:
            member = tarfile.TarInfo(photo.name)
            member.size = len(photo.content)
            archive.addfile(member, io.BytesIO(photo.content))
        return len(archive.getmembers())


def write_database(target: Path, photos: Iterator[Packed]) -> int:
    """Write an LMDB and its list of photos; return their number."""
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
    """Read the arguments, pack the photos and print their number."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("target", type=Path)
    parser.add_argument("--recursive", action="store_true", help="also folders inside the folder")
    parser.add_argument(
        "--skip_damaged", action="store_true", help="leave out photos that cannot be read, instead of stopping"
    )
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
