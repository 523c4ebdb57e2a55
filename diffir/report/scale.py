"""Where values lie on an axis of percentages, where its ticks stand, and how dots keep out of each other's way.

In: finite values. Out: ``Scale``; offsets of dots. Ticks are 1, 2 or 5 times a power of ten.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

EDGE = 2.0  # percent of the width left free at both ends
MOST_TICKS = 8


@dataclass(frozen=True)
class Scale:
    """An axis from low to high."""

    low: float
    high: float
    step: float
    """Between ticks."""

    @classmethod
    def around(cls, values: Sequence[float]) -> "Scale":
        """The axis that holds these values; a single value stands in its middle."""
        low, high = min(values), max(values)
        if high - low < 1e-9 * max(1.0, abs(high)):
            margin = 0.05 * abs(high) or 1.0
            low, high = low - margin, high + margin
        rough = (high - low) / MOST_TICKS
        power = 10.0 ** math.floor(math.log10(rough))
        return cls(low, high, next(m * power for m in (1, 2, 5, 10) if m * power >= rough * (1 - 1e-9)))

    @property
    def ticks(self) -> list[float]:
        """Multiples of the step inside the axis."""
        first, last = math.ceil(self.low / self.step - 1e-9), math.floor(self.high / self.step + 1e-9)
        return [number * self.step for number in range(first, last + 1)]

    def place(self, value: float) -> float:
        """Percent of the width."""
        return round(EDGE + (100 - 2 * EDGE) * (value - self.low) / (self.high - self.low), 2)

    def label(self, tick: float) -> str:
        """A tick with as many digits as the step needs."""
        return f"{tick:.{max(0, -math.floor(math.log10(self.step) + 1e-9))}f}"


def keep_apart(places: Sequence[float], diameter: float, room: float) -> list[float]:
    """Heights at which dots at these places do not touch; where there is no room left, they overlap in the middle.

    Args:
        places: in pixels, rising.
        room: the largest height, up and down, in pixels.
    """
    steps = range(1, math.floor(room / (diameter / 2)) + 1)
    candidates = [0.0, *(sign * step * diameter / 2 for step in steps for sign in (-1, 1))]
    heights: list[float] = []
    near = 0
    for number, place in enumerate(places):
        while place - places[near] >= diameter:
            near += 1
        others = [(place - places[i], heights[i]) for i in range(near, number)]
        free = (h for h in candidates if all(math.hypot(dx, h - other) >= diameter for dx, other in others))
        heights.append(next(free, 0.0))
    return heights
