"""The randomness of one image: what a degradation step draws from, and the size the image had before any step.

One ``Draw`` with a generator of its own serves one image from its first step to its last, so an image is a function of
its seed alone: not of what else is in its batch, of the process that makes it, or of the device it lies on (numbers are
drawn on the generator's device).
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
    """

    def __init__(self, generator: torch.Generator, clean_size: tuple[int, int]) -> None:
        self.generator = generator
        self.clean_size = clean_size

    def uniform(self, low: float, high: float) -> float:
        """A number from [low, high)."""
        return low + (high - low) * torch.rand((), generator=self.generator, dtype=torch.float64).item()

    def integer(self, low: int, high: int) -> int:
        """A whole number from low to high, both included."""
        return int(torch.randint(low, high + 1, (), generator=self.generator).item())

    def happens(self, probability: float) -> bool:
        """True with the given probability; draws even if it is 0 or 1, so that later draws do not move."""
        return self.uniform(0, 1) < probability

    def choose(self, items: Sequence[T], weights: Sequence[float] | None = None) -> T:
        """One of the items, evenly or by weights of any positive sum."""
        weights = weights or [1.0] * len(items)
        mark = self.uniform(0, sum(weights))
        for item, weight in zip(items, weights, strict=True):
            if mark < weight:
                return item
            mark -= weight
        return items[-1]  # rounding of the sum

    def shuffled(self, items: Sequence[T]) -> list[T]:
        """All items in a random order."""
        return [items[i] for i in torch.randperm(len(items), generator=self.generator).tolist()]

    def normal(self, *shape: int) -> Tensor:
        """Standard normal float32 numbers on the CPU; ``.to(image)`` brings them beside an image."""
        return torch.randn(shape, generator=self.generator)

    def numpy(self) -> np.random.Generator:
        """A numpy generator of its own, for steps that are easier said in numpy."""
        return np.random.default_rng(self.integer(0, 2**62))
