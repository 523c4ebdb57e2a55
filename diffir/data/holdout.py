"""Clean photos of one folder, cut into pieces for training and pieces for validation that share no scene.

In: photos of any size. Out: two folders of PNG pieces. A piece keeps a training step from decoding a whole camera
photo; photos that look alike (perceptual hash) go to one side, or validation would score what was learnt by heart.
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
PIECE = 512  # side in pixels: four of the usual training patches across, so that random patches differ
MOST_PIECES = 400  # of a whole folder: 0.3 GB in memory
ALIKE = 10  # bits of 64 in which two views of one scene may differ
SHARE, FEWEST, MOST = 0.1, 2, 12  # of all photos that validate
SMALLEST = 128  # pixels: photos with a shorter side are left out


@dataclass(frozen=True)
class Holdout:
    """Names of the photos on each side, and of those left out."""

    training: tuple[str, ...]
    validation: tuple[str, ...]
    left_out: tuple[str, ...]


def hold_out(photos: Path, folder: Path, *, seed: int) -> Holdout:
    """Write ``folder/train/*.png`` and ``folder/val/*.png``, the middle of each validation photo alone.

    What an earlier split left there is removed first: two splits in one folder would mix both sides.

    Raises:
        ConfigError: no such folder, fewer than four photos that can be used, all of one scene, or a folder inside
            ``photos``.
    """
    if folder.resolve().is_relative_to(photos.resolve()):
        raise ConfigError(f"{folder} lies inside {photos}: its pieces would be taken for photos; choose another place")
    if not photos.is_dir():
        raise ConfigError(f"no such folder: {photos}")
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
            logger.warning("%s is left out: the same picture is there already", path)
            left_out.append(path.name)
            continue
        known.add(pixels)
        looks[path] = look(image)
    if len(looks) < 2 * FEWEST:
        raise ConfigError(f"{photos} holds {len(looks)} photos that can be used; {2 * FEWEST} are the least")
    validating = _chosen(looks, seed)
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


def _chosen(looks: dict[Path, int | None], seed: int) -> list[Path]:
    """Whole scenes in a drawn order until the share is reached; one of half the photos or more stays in training."""
    scenes = _scenes(looks)
    wanted = min(max(round(SHARE * len(looks)), FEWEST), MOST)
    small = [scene for scene in scenes if 2 * len(scene) < len(looks)]
    if len(small) < FEWEST:
        raise ConfigError("nearly all photos show one scene: validation needs others than training")
    chosen: list[list[Path]] = []
    for number in np.random.default_rng([seed, 1]).permutation(len(small)):
        if len(chosen) < FEWEST or sum(map(len, chosen)) < wanted:
            chosen.append(small[number])
    return sorted(path for scene in chosen for path in scene)


def _scenes(looks: dict[Path, int | None]) -> list[list[Path]]:
    """Photos that look alike, directly or through others, together."""
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
    """The photo itself if it is small, else pieces at drawn places, about as many as cover it once."""
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
