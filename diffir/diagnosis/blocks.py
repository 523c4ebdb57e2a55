"""Blockiness: how much larger steps of brightness are on the 8 x 8 grid of JPEG than beside it.

In: windows of a photo whose corners lie on the grid. Out: one number, 0 for no blocks. The idea is that of Z. Wang, A.
Bovik, B. Evans, "Blind measurement of blocking artifacts in images", ICIP 2000. Here a step counts only as far as it
exceeds its two neighbours, so that ramps and textures cancel out.
"""

from collections.abc import Sequence

import numpy as np

_GRID = 8  # pixels
_LARGEST_STEP = 10.0  # grey levels; larger steps are edges of the picture
_LEAST_STEP = 2.5  # grey levels, added to the mean step: in smooth pictures even JPEG of quality 95 leaves small steps


def blockiness(luma: Sequence[np.ndarray]) -> float:
    """Mean excess of the steps on the grid over the median of the other positions, relative to the mean step.

    It is the smaller of that across and that down, since JPEG makes both.

    Args:
        luma: windows h x w float32, 0 to 255, which begin at multiples of 8 pixels.
    """
    profiles = []
    for side in (0, 1):
        parts = [_profile(window if side == 0 else window.T) for window in luma if min(window.shape) > 2 * _GRID]
        if not parts:
            return 0.0
        profiles.append(np.mean(parts, axis=0))
    return float(min(profile[_GRID - 2] - np.median(profile) for profile in profiles))


def _profile(window: np.ndarray) -> np.ndarray:
    """Mean excess of steps along rows at each of the eight positions; that between two blocks is number 6."""
    steps = np.abs(np.diff(window, axis=1))
    excess = np.clip(steps[:, 1:-1] - (steps[:, :-2] + steps[:, 2:]) / 2, -_LARGEST_STEP, _LARGEST_STEP)
    mean_step = np.minimum(steps, _LARGEST_STEP).mean() + _LEAST_STEP
    return np.array([excess[:, place::_GRID].mean() for place in range(_GRID)]) / mean_step
