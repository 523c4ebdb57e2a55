"""Recipes: the steps that turn a clean image into a low-quality one.

In: the steps in an option file, or the name or file of a recipe. Out: a ``Recipe``, which degrades a batch and gives
the two facts that a network must match: the scale of its images, and whether they carry a mask.
"""

import os
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any
from zlib import crc32

import numpy as np
import torch
from torch import Tensor

from diffir.degradations.assembly import Place, build_steps
from diffir.degradations.draw import Draw
from diffir.degradations.recipe_file import find_recipe, read_recipe
from diffir.degradations.steps import Step
from diffir.errors import ConfigError, ImageError
from diffir.pixels import as_rgb, to_float, to_kind

_TRIAL_SIZE = (96, 48)  # (height, width) in pixels; multiples of 2, 3, 4, 6 and 8
_TRIALS = 8


@dataclass(frozen=True)
class Recipe:
    """Degrades a batch of clean images; each image has its own generator, seeded from that of the batch."""

    steps: tuple[Step, ...]
    name: str = "the degradation"
    summary: str = ""
    where: str = "the degradation"
    """Name of the recipe in error messages: its file, if it has one."""

    def __call__(self, images: Tensor, generator: torch.Generator) -> Tensor:
        """Degrade images (B, 3, H, W) float in [0, 1], RGB, any device -> (B, C, h, w); values may leave [0, 1].

        ``generator`` lies on the CPU; it only draws one seed for each image.
        """
        return self.pairs(images, generator)[0]

    def pairs(self, images: Tensor, generator: torch.Generator) -> tuple[Tensor, Tensor]:
        """Degrade images as a call does -> the result, and its ground truth (B, 3, H, W) in [0, 1].

        The ground truth is the clean image, unless the step ``ground_truth`` was applied to it.
        """
        size = (images.shape[2], images.shape[3])
        seeds = torch.randint(2**62, (len(images),), generator=generator).tolist()
        draws = [Draw(torch.Generator().manual_seed(seed), size) for seed in seeds]
        lq = [self._degraded(image[None], draw) for image, draw in zip(images, draws, strict=True)]
        kept = [draw.ground_truth for draw in draws]
        gt = [image[None] if truth is None else truth for image, truth in zip(images, kept, strict=True)]
        return torch.cat(lq), torch.cat(gt)

    def _degraded(self, image: Tensor, draw: Draw) -> Tensor:
        """Apply the steps to one image (1, 3, H, W); an error names the step."""
        for number, step in enumerate(self.steps, 1):
            try:
                image = step(image, draw)
            except ConfigError as error:
                raise ConfigError(f"{self.where}: step {number}: {error}") from error
        return image

    @property
    def scale(self) -> int:
        """Side of the clean image over the side of lq. Raises ConfigError if it varies or is not a whole number."""
        return self._facts[0]

    @property
    def channels(self) -> int:
        """Number of channels of lq: 3, or 4 with a mask. Raises ConfigError if it varies."""
        return self._facts[1]

    @cached_property
    def _facts(self) -> tuple[int, int]:
        """Scale and channels, found by degrading a small image: steps do not declare how they change the size."""
        # Degrade one small image several times, since steps may draw different sizes.
        height, width = _TRIAL_SIZE
        clean = torch.rand(1, 3, height, width, generator=torch.Generator().manual_seed(0))
        tries = [self(clean, torch.Generator().manual_seed(seed)) for seed in range(_TRIALS)]
        shapes = sorted({tuple(lq.shape[1:]) for lq in tries})
        channels, rows, columns = shapes[0]
        # One shape, whose sides divide those of the clean image by the same whole number.
        if len(shapes) > 1 or height % rows or width % columns or height // rows != width // columns:
            made = " or ".join(f"{w} x {h} with {c} channels" for c, h, w in shapes)
            raise ConfigError(
                f"{self.where} makes {made} of {width} x {height} pixels: lq must always be the clean image divided by "
                "one whole number; end with resize_back"
            )
        # RGB, or RGB and a mask of 0 and 1.
        if channels not in (3, 4):
            raise ConfigError(f"{self.where} makes {channels} channels; lq has 3, or 4 with a mask")
        if channels == 4 and any(map(_has_changed_mask, tries)):
            raise ConfigError(
                f"{self.where}: step {self._changes_mask(clean)} changes the mask that an earlier step cut; "
                "steps that cut holes come last"
            )
        return height // rows, channels

    def _changes_mask(self, clean: Tensor) -> int:
        """Number of the first step after which the mask holds other values than 0 and 1."""
        # Leaving out the last steps does not change what the first ones draw.
        for number in range(1, len(self.steps)):
            first = Recipe(self.steps[:number])
            if any(_has_changed_mask(first(clean, torch.Generator().manual_seed(seed))) for seed in range(_TRIALS)):
                return number
        return len(self.steps)


def _has_changed_mask(lq: Tensor) -> bool:
    """Return True if a fourth channel holds other values than 0 and 1."""
    return bool(((lq[:, 3:] != 0) & (lq[:, 3:] != 1)).any())


def build_recipe(steps: Sequence[dict[str, Any]]) -> Recipe:
    """Build the recipe from the steps in an option file.

    Raises:
        ConfigError: an unknown step or recipe, or a step with keys or values that it does not take.
    """
    try:
        return Recipe(tuple(build_steps(steps)))
    except ConfigError as error:
        raise ConfigError(f"degradation: {error}") from error


def load_recipe(name_or_path: str | Path) -> Recipe:
    """Load a shipped recipe by its name, or the recipe in a YAML file.

    Raises:
        UsageError: there is neither a recipe nor a file of that name.
        ConfigError: the file is not YAML, or has keys, steps or values that a recipe does not take.
    """
    path, file = find_recipe(name_or_path), read_recipe(name_or_path)
    try:
        steps = build_steps(file.steps, Place(files=(path,), scale=file.scale))
    except ConfigError as error:
        raise ConfigError(f"{path}: {error}") from error
    return Recipe(tuple(steps), path.stem, file.summary, str(path))


def degrade_image(image: np.ndarray, recipe: Recipe, seed: int) -> np.ndarray:
    """Degrade one image by a recipe; equal seeds make equal images.

    Args:
        image: H x W x 3 RGB or grey: uint8, uint16 or float in [0, 1].

    Returns:
        h x w x C float32, C = ``recipe.channels``: RGB, and a mask (1: missing) if the recipe cuts holes. Neither
        clipped nor rounded, unless a step does.
    """
    return degrade_pair(image, recipe, seed)[0]


def degrade_pair(image: np.ndarray, recipe: Recipe, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Degrade one image as ``degrade_image`` does -> the result, and its ground truth, H x W x 3 in the image's type.

    The ground truth holds the pixels of ``image``, unless the step ``ground_truth`` kept others.
    """
    pixels = np.ascontiguousarray(as_rgb(to_float(image)).transpose(2, 0, 1), dtype=np.float32)
    lq, gt = recipe.pairs(torch.from_numpy(pixels)[None], torch.Generator().manual_seed(seed))
    unchanged = np.array_equal(gt[0].numpy(), pixels)
    truth = as_rgb(image) if unchanged else to_kind(gt[0].permute(1, 2, 0).numpy(), image.dtype)
    return lq[0].permute(1, 2, 0).numpy(), truth


def seed_for_photo(name: str, seed: int) -> int:
    """Return the seed of one photo: it depends on the common seed and on the photo's name, not on its folder."""
    key = [seed, crc32(os.fsencode(name))]
    return int(np.random.SeedSequence(key).generate_state(1)[0])


def cut_to_multiple(image: np.ndarray, scale: int) -> np.ndarray:
    """Cut off the last rows and columns, so that both sides become multiples of the scale, as benchmarks do.

    Raises:
        ImageError: a side is shorter than the scale, so that nothing would be left.
    """
    height, width = (side // scale * scale for side in image.shape[:2])
    if not height or not width:
        raise ImageError(f"{image.shape[1]} x {image.shape[0]} pixels are too few for scale {scale}")
    return image[:height, :width]
