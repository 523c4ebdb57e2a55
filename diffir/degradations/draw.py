"""Random numbers for the degradation of one image, and the size of that image before the first step.

One ``Draw`` with its own generator serves one image from the first step to the last. The degraded image is therefore a
function of its seed alone: it does not depend on the rest of the batch, on the process, or on the device of the image,
since numbers are drawn on the generator's device.
"""

from collections.abc import Sequence
from typing import TypeVar

import numpy as np
import torch
from torch import Tensor

T = TypeVar("T")


class Draw:
    """Random numbers for the steps of a recipe.

    Attributes:
        generator: source of every number, on the CPU.
        clean_size: (height, width) of the clean image in pixels.
        ground_truth: what the step ``ground_truth`` kept, (1, 3, H, W); None: the clean image is the ground truth.
    """

    def __init__(self, generator: torch.Generator, clean_size: tuple[int, int]) -> None:
        self.generator = generator
        self.clean_size = clean_size
        self.ground_truth: Tensor | None = None

    def uniform(self, low: float, high: float) -> float:
        """Draw a number from [low, high)."""
        return low + (high - low) * torch.rand((), generator=self.generator, dtype=torch.float64).item()

    def integer(self, low: int, high: int) -> int:
        """Draw a whole number from low to high, both included."""
        return int(torch.randint(low, high + 1, (), generator=self.generator).item())

    def happens(self, probability: float) -> bool:
        """Draw True with the given probability; 0 and 1 use up a number too, so that later draws stay the same."""
        return self.uniform(0, 1) < probability

    def choose(self, items: Sequence[T], weights: Sequence[float] | None = None) -> T:
        """Draw one of the items, evenly or by weights of any positive sum."""
        weights = weights or [1.0] * len(items)
        mark = self.uniform(0, sum(weights))
        for item, weight in zip(items, weights, strict=True):
            if mark < weight:
                return item
            mark -= weight
        return items[-1]  # only reached by rounding errors of the sum

    def shuffled(self, items: Sequence[T]) -> list[T]:
        """Return all items in a random order."""
        return [items[i] for i in torch.randperm(len(items), generator=self.generator).tolist()]

    def normal(self, *shape: int) -> Tensor:
        """Draw standard normal float32 numbers on the CPU; ``.to(image)`` moves them to the device of an image."""
        return torch.randn(shape, generator=self.generator)

    def numpy(self) -> np.random.Generator:
        """Return a new numpy generator, seeded from this one, for steps that are easier to write in numpy."""
        return np.random.default_rng(self.integer(0, 2**62))
