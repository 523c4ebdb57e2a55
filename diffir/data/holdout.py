"""Split the clean photos of a folder into pieces for training and for validation that share no scene.

In: photos of any size. Out: two folders of PNG pieces. Pieces save a training step from decoding whole camera photos.
Photos that look alike (perceptual hash) go to the same side; otherwise validation would measure memorised photos.
"""

import logging
import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from diffir.data.checking.fingerprints import look, near_pairs, pixels_sha256
from diffir.data.photo_sources import rgb8
from diffir.errors import ConfigError, ImageError
from diffir.image_io import list_images, read_image, write_image

logger = logging.getLogger(__name__)
PIECE = 512  # side in pixels: four times the usual training patch, so that random patches differ
MOST_PIECES = 400  # for a whole folder; they take 0.3 GB of memory
ALIKE = 10  # hashes of two photos of one scene differ in at most so many of 64 bits
SHARE, FEWEST, MOST = 0.1, 2, 12  # photos used for validation: fraction of all, least and largest number
SMALLEST = 128  # pixels: photos with a shorter side are left out


@dataclass(frozen=True)
class Holdout:
    """File names of the training photos, the validation photos and the photos that were left out."""

    training: tuple[str, ...]
    validation: tuple[str, ...]
    left_out: tuple[str, ...]


def hold_out(photos: Path, folder: Path, *, seed: int) -> Holdout:
    """Write pieces of training photos to ``folder/train`` and the centre of each validation photo to ``folder/val``.

    Pieces of an earlier split are removed first, since two splits in one folder would mix both sides.

    Raises:
        ConfigError: ``photos`` does not exist, holds fewer than four usable photos or only one scene, or contains
            ``folder``.
    """
    if folder.resolve().is_relative_to(photos.resolve()):
        raise ConfigError(f"{folder} lies inside {photos}: its pieces would be read as photos; choose another place")
    if not photos.is_dir():
        raise ConfigError(f"no such folder: {photos}")

    # Hash every photo; leave out those that are corrupt, too small or a copy.
    looks: dict[Path, int | None] = {}
    known: set[str] = set()
    left_out = []
    for path in list_images(photos, recursive=True, with_plugins=False):
        try:
            image = rgb8(read_image(path))
        except ImageError as error:
            logger.warning("%s", error)
            left_out.append(path.name)
            continue
        if min(image.shape[:2]) < SMALLEST:
            logger.warning("%s is left out: %d x %d is too small", path, image.shape[1], image.shape[0])
            left_out.append(path.name)
            continue
        if (pixels := pixels_sha256(image)) in known:
            logger.warning("%s is left out: it equals another photo", path)
            left_out.append(path.name)
            continue
        known.add(pixels)
        looks[path] = look(image)
    if len(looks) < 2 * FEWEST:
        raise ConfigError(f"{photos} holds {len(looks)} usable photos; at least {2 * FEWEST} are needed")

    # Choose the validation photos and write the pieces of both sides.
    validating = _choose_validation(looks, seed)
    training = [path for path in looks if path not in validating]
    for side in ("train", "val"):
        shutil.rmtree(folder / side, ignore_errors=True)
    rng = np.random.default_rng([seed, 0])
    for index, path in enumerate(training):
        pieces = _pieces(rgb8(read_image(path)), max(1, MOST_PIECES // len(training)), rng)
        for number, piece in enumerate(pieces):
            write_image(folder / "train" / f"{index:04d}_{number:03d}_{path.stem}.png", piece)
    for index, path in enumerate(validating):
        write_image(folder / "val" / f"{index:04d}_{path.stem}.png", _middle(rgb8(read_image(path))))
    return Holdout(_names(training), _names(validating), tuple(left_out))


def _choose_validation(looks: dict[Path, int | None], seed: int) -> list[Path]:
    """Draw whole scenes until their share of the photos is reached.

    A scene with half of the photos or more always stays in training.
    """
    scenes = _scenes(looks)
    wanted = min(max(round(SHARE * len(looks)), FEWEST), MOST)
    small = [scene for scene in scenes if 2 * len(scene) < len(looks)]
    if len(small) < FEWEST:
        raise ConfigError("nearly all photos show one scene, and validation needs other scenes than training")
    chosen: list[list[Path]] = []
    for number in np.random.default_rng([seed, 1]).permutation(len(small)):
        if len(chosen) < FEWEST or sum(map(len, chosen)) < wanted:
            chosen.append(small[number])
    return sorted(path for scene in chosen for path in scene)


def _scenes(looks: dict[Path, int | None]) -> list[list[Path]]:
    """Group photos that look alike, directly or through other photos."""
    with_look = [(path, value) for path, value in looks.items() if value is not None]
    values = [value for _, value in with_look]
    scene_of = {path: {path} for path in looks}
    for left, right, _ in near_pairs(values, values, ALIKE):
        first, second = scene_of[with_look[left][0]], scene_of[with_look[right][0]]
        if first is not second:
            first |= second
            for path in second:
                scene_of[path] = first
    return sorted({id(scene): sorted(scene) for scene in scene_of.values()}.values())


def _pieces(image: np.ndarray, most: int, rng: np.random.Generator) -> list[np.ndarray]:
    """The photo itself if it is small, otherwise random pieces, about as many as would cover it once."""
    height, width = image.shape[:2]
    if height * width <= 2 * PIECE**2:
        return [image]
    tall, wide = min(height, PIECE), min(width, PIECE)
    count = min(most, height * width // (tall * wide))
    corners = [(rng.integers(height - tall + 1), rng.integers(width - wide + 1)) for _ in range(count)]
    return [image[top : top + tall, left : left + wide] for top, left in corners]


def _middle(image: np.ndarray) -> np.ndarray:
    top, left = (max(side - PIECE, 0) // 2 for side in image.shape[:2])
    return image[top : top + PIECE, left : left + PIECE]


def _names(paths: Sequence[Path]) -> tuple[str, ...]:
    return tuple(path.name for path in paths)
