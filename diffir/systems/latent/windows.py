"""Large photos in windows of the latent: which windows there are, and blending of what they give.

The plan depends on the size of the photo and on the length of a window alone, never on tiles or free memory, so that
the result is the same on every machine. Normalisation and attention see one window at a time, as in training a patch.
"""

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from diffir.inference.tiling import Span, blend_tiles, split_side

SHARED = 4  # neighbouring windows share a quarter of their length


@dataclass(frozen=True)
class WindowPlan:
    """The windows of one photo along both sides, in positions of its latent."""

    rows: list[Span]
    columns: list[Span]

    @classmethod
    def of(cls, height: int, width: int, window: int, multiple_of: int) -> "WindowPlan":
        """Cover a latent of height x width with windows of about ``window`` positions a side."""
        window = max(window // multiple_of, 2) * multiple_of
        return cls(*(split_side(side, window, window // SHARED, multiple_of) for side in (height, width)))

    @property
    def count(self) -> int:
        return len(self.rows) * len(self.columns)

    def blend(self, of_window: Callable[[slice, slice], Tensor]) -> Tensor:
        """Compute (B, C, h, w) of every window, and blend them to one (B, C, H, W) on the CPU."""
        blended: list[Tensor] = []

        def write(top: int, rows: Tensor) -> None:
            if not blended:
                blended.append(torch.empty(*rows.shape[:2], self.rows[-1].stop, rows.shape[3]))
            blended[0][:, :, top : top + rows.shape[2]] = rows

        blend_tiles(of_window, self.rows, self.columns, 1, write)
        return blended[0]

    def touching(self, rows: slice, columns: slice) -> "WindowPlan":
        """The windows that overlap a region; inside it, they blend to what all windows blend to."""
        return WindowPlan(
            [span for span in self.rows if span.stop > rows.start and span.start < rows.stop],
            [span for span in self.columns if span.stop > columns.start and span.start < columns.stop],
        )
