"""Compute an axis with its ticks, and offsets that keep the dots of a strip from overlapping.

In: finite values. Out: ``Scale``, whose positions are percentages of the width, and vertical offsets of dots. The
distance between ticks is 1, 2 or 5 times a power of ten.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

EDGE = 2.0  # percent of the width left free at both ends
MOST_TICKS = 8


@dataclass(frozen=True)
class Scale:
    """An axis from ``low`` to ``high`` with evenly spaced ticks."""

    low: float
    high: float
    step: float
    """Distance between two ticks, in the unit of the values."""

    @classmethod
    def around(cls, values: Sequence[float]) -> "Scale":
        """Make the axis that holds these values; a single value is placed in its middle."""
        # A single value would give an axis without length.
        low, high = min(values), max(values)
        if high - low < 1e-9 * max(1.0, abs(high)):
            margin = 0.05 * abs(high) or 1.0
            low, high = low - margin, high + margin

        # The smallest round step that gives no more than MOST_TICKS.
        rough = (high - low) / MOST_TICKS
        power = 10.0 ** math.floor(math.log10(rough))
        return cls(low, high, next(m * power for m in (1, 2, 5, 10) if m * power >= rough * (1 - 1e-9)))

    @property
    def ticks(self) -> list[float]:
        """The multiples of ``step`` that lie on the axis."""
        first, last = math.ceil(self.low / self.step - 1e-9), math.floor(self.high / self.step + 1e-9)
        return [number * self.step for number in range(first, last + 1)]

    def place(self, value: float) -> float:
        """Position of a value in percent of the width."""
        return round(EDGE + (100 - 2 * EDGE) * (value - self.low) / (self.high - self.low), 2)

    def label(self, tick: float) -> str:
        """Format a tick with as many digits as the step needs."""
        return f"{tick:.{max(0, -math.floor(math.log10(self.step) + 1e-9))}f}"


def keep_apart(places: Sequence[float], diameter: float, room: float) -> list[float]:
    """Choose vertical offsets at which dots do not touch; if there is no room left, dots overlap in the middle.

    Args:
        places: horizontal positions in pixels, in rising order.
        room: the largest offset upwards and downwards, in pixels.
    """
    # Offsets to try, the smallest first.
    steps = range(1, math.floor(room / (diameter / 2)) + 1)
    candidates = [0.0, *(sign * step * diameter / 2 for step in steps for sign in (-1, 1))]

    # Only dots within one diameter to the left can touch.
    heights: list[float] = []
    near = 0
    for number, place in enumerate(places):
        while place - places[near] >= diameter:
            near += 1
        others = [(place - places[i], heights[i]) for i in range(near, number)]
        free = (h for h in candidates if all(math.hypot(dx, h - other) >= diameter for dx, other in others))
        heights.append(next(free, 0.0))
    return heights
