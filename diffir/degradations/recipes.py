"""Recipes: the steps that turn a clean image into a low-quality one.

In: steps as an option file lists them, or the name or file of a recipe. Out: a ``Recipe``, one callable on a batch.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from diffir.degradations.draw import Draw
from diffir.degradations.steps import Step, apply_steps, build_steps


@dataclass(frozen=True)
class Recipe:
    """Clean images and a generator on the CPU -> low-quality images; each image draws for itself."""

    steps: tuple[Step, ...]
    summary: str = ""

    def __call__(self, images: Tensor, generator: torch.Generator) -> Tensor:
        """images (B, 3, H, W) float in [0, 1], RGB, any device -> (B, C, h, w); values may leave [0, 1]."""
        size = (images.shape[2], images.shape[3])
        return torch.cat([apply_steps(self.steps, image[None], Draw(generator, size)) for image in images])


def build_recipe(steps: Sequence[dict[str, Any]]) -> Recipe:
    """One callable that applies the steps in order.

    Raises:
        ConfigError: an unknown step, or a step with keys or values it does not take.
    """
    return Recipe(tuple(build_steps(steps)))
