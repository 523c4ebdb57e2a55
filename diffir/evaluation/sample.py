"""One image of a benchmark: the input of a method, and the ground truth that its result is compared with."""

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True, eq=False)
class Sample:
    """Input, ground truth and mask of one image."""

    name: str
    lq: np.ndarray
    """Low-quality image, H x W x C, RGB or grey (C = 1): uint8, or float32 with white at 1; noise may exceed [0, 1]."""
    gt: np.ndarray | None
    """Ground truth, (H * scale) x (W * scale) x C, uint8 or uint16; None if it is not known."""
    mask: np.ndarray | None = None
    """H x W, above 0 where pixels are missing; None if no pixel is missing."""

    @property
    def truth(self) -> np.ndarray:
        """The ground truth of a sample that is known to have one."""
        assert self.gt is not None, f"{self.name} has no ground truth"
        return self.gt
