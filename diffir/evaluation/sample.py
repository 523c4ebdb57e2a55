"""One image of a benchmark: what a method is given, and what its result is compared with."""

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True, eq=False)
class Sample:
    """Input and ground truth."""

    name: str
    lq: np.ndarray
    """H x W x C, RGB or grey (C = 1): uint8, or float32 with white at 1, which noise may leave on both sides."""
    gt: np.ndarray | None
    """(H * scale) x (W * scale) x C, uint8 or uint16; None where nobody knows it."""
    mask: np.ndarray | None = None
    """H x W, above 0 where a hole is; None where nothing is missing."""

    @property
    def truth(self) -> np.ndarray:
        """The ground truth of a sample that has one."""
        assert self.gt is not None, f"{self.name} has no ground truth"
        return self.gt
