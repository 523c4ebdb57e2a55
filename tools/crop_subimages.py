"""Crop large photos into overlapping sub-images, so that training does not decode whole photos. Pairs stay aligned.

    python tools/crop_subimages.py CARD|FOLDER OUT [--lq FOLDER] [--size 480] [--step 240] [--threshold 0]

Without pairs the sub-images are written to OUT. With pairs (a card that has inputs, or --lq) they are written to OUT/gt
and OUT/lq, with equal names. Sizes are those of the ground truth: 480 and 240 suit photos of 2040 pixels (DIV2K), 512
and 256 the frames of GoPro.
"""

import argparse
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from tqdm import tqdm

from diffir.config import PhotosConfig
from diffir.data.cards.cards import find_images, load_card
from diffir.data.checking.survey import FilePhotos
from diffir.data.photo_names import partners, stem_of
from diffir.data.photo_pairs import scale_between
from diffir.data.photo_sources import open_photos
from diffir.errors import DiffIRError
from diffir.image_io import Photo, write_image


def starts(length: int, size: int, step: int, threshold: int) -> list[int]:
    """Return the starts of sub-images on a side: every ``step`` pixels, and at the end if over ``threshold`` remain."""
    found = list(range(0, max(length - size, 0) + 1, step))
    if length - size - found[-1] > threshold:
        found.append(length - size)
    return found


def pieces(photo: Photo, size: int, step: int, threshold: int) -> list[Photo]:
    """Return the sub-images of a photo, row by row; a photo smaller than ``size`` is one sub-image."""
    height, width = photo.pixels.shape[:2]
    return [
        Photo(photo.pixels[top : top + size, left : left + size], icc_profile=photo.icc_profile)
        for top in starts(height, size, step, threshold)
        for left in starts(width, size, step, threshold)
    ]


def aligned(clean: Photo, damaged: Photo, name: str, sizes: tuple[int, int, int]) -> tuple[list[Photo], list[Photo]]:
    """Return the sub-images of a pair, cropped at the same places; sizes are (size, step, threshold)."""
    height, width = damaged.pixels.shape[:2]
    scale = scale_between((height, width), clean.pixels.shape, name)
    if any(size % scale for size in sizes):
        raise DiffIRError(f"{name}: --size, --step and --threshold must be multiples of {scale}, the scale of the pair")
    clean = replace(clean, pixels=clean.pixels[: height * scale, : width * scale])
    size, step, threshold = (number // scale for number in sizes)
    return pieces(clean, *sizes), pieces(damaged, size, step, threshold)


def save(folder: Path, name: str, cut: list[Photo]) -> int:
    """Write sub-images as PNG, numbered from 1, and return their number."""
    for number, piece in enumerate(cut, 1):
        write_image(folder / f"{name}_s{number:03d}.png", piece)
    return len(cut)


def crop(args: argparse.Namespace) -> int:
    """Crop all photos that the arguments name; return the number of sub-images, or of pairs of them."""
    sizes, count = (args.size, args.step, args.threshold), 0
    if args.size < 1 or args.step < 1 or args.threshold < 0:
        raise DiffIRError("--size and --step must be 1 or more, --threshold 0 or more")

    # List the photos: (name of the sub-images, ground truth, low-quality image or None).
    if Path(args.source).is_dir():
        section = PhotosConfig(
            args.source, recursive=args.recursive, dataroot_lq=args.lq, filename_tmpl=args.filename_tmpl
        )
        clean = open_photos(section.dataroot_gt, "FOLDER", recursive=args.recursive, deeper="--recursive")
        damaged = open_photos(args.lq, "--lq", recursive=args.recursive, deeper="--recursive") if args.lq else None
        joined = partners(clean.names, damaged.names, section.filename_tmpl, all_used=True) if damaged else {}
        todo = [(stem_of(name), name, joined.get(name)) for name in clean.names]
    else:
        images = find_images(load_card(args.source), args.data_root)
        # Images of a joined set are named like "div2k:train/0001", and some systems allow no colon in a file name.
        todo = [
            (image.name.replace(":", "_"), str(image.gt), None if image.input is None else str(image.input))
            for image in images
        ]
        clean = damaged = FilePhotos([])

    # Crop and write them.
    for title, clean_name, damaged_name in tqdm(todo, unit="image", disable=None):
        if damaged_name is None or damaged is None:
            count += save(args.out, title, pieces(clean.read(clean_name), *sizes))
            continue
        gt, lq = aligned(clean.read(clean_name), damaged.read(damaged_name), title, sizes)
        count += save(args.out / "gt", title, gt)
        save(args.out / "lq", title, lq)
    return count


def main(arguments: Sequence[str] | None = None) -> None:
    """Read the arguments, crop the photos and print the number of sub-images."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("source", metavar="CARD|FOLDER")
    parser.add_argument("out", type=Path)
    parser.add_argument("--lq", help="folder of the low-quality images of the pairs")
    parser.add_argument("--filename_tmpl", default="{}", help="names of the low-quality images, such as {}x4")
    parser.add_argument("--recursive", action="store_true", help="also folders inside the folders")
    parser.add_argument("--data_root", type=Path, help="folder of the benchmark sets")
    parser.add_argument("--size", type=int, default=480, help="side of a sub-image in pixels")
    parser.add_argument("--step", type=int, default=240, help="pixels from one sub-image to the next")
    parser.add_argument("--threshold", type=int, default=0, help="largest rest of a side that gets no sub-image")
    args = parser.parse_args(arguments)
    try:
        print(f"{args.out}: {crop(args)} pieces")
    except DiffIRError as error:
        raise SystemExit(str(error)) from error


if __name__ == "__main__":
    main()
