"""Checks that steps share: a range is [low, high], a probability lies in [0, 1], weights are no less than 0.

In: what a recipe says. Out: nothing, or ``ConfigError`` with what was given and what is allowed.
"""

import math
from collections.abc import Sequence

from diffir.errors import ConfigError


def check_range(name: str, given: tuple[float, float], *, lowest: float, highest: float = math.inf) -> None:
    """Refuse a range that is upside down, endless, or leaves [lowest, highest]."""
    low, high = given
    if not lowest <= low <= high <= highest or not math.isfinite(high):
        limits = f"{lowest:g} <= low <= high" + (f" <= {highest:g}" if highest < math.inf else "")
        raise ConfigError(f"{name} must be [low, high] with {limits}, got {list(given)}")


def check_probability(name: str, given: float) -> None:
    """Refuse what is no probability."""
    if not 0 <= given <= 1:
        raise ConfigError(f"{name} must lie in [0, 1], got {given:g}")


def check_weights(name: str, given: Sequence[object]) -> None:
    """Refuse weights of which none can be drawn, or that are no numbers."""
    numbers = [weight for weight in given if isinstance(weight, int | float) and not isinstance(weight, bool)]
    if len(numbers) < len(given) or not all(0 <= number < math.inf for number in numbers):
        raise ConfigError(f"{name} must be numbers of 0 or more, got {list(given)}")
    if not any(numbers):
        raise ConfigError(f"{name} must hold one number above 0, got {list(given)}")


def check_choices(name: str, given: Sequence[object]) -> None:
    """Refuse an empty list where one entry is drawn."""
    if not given:
        raise ConfigError(f"{name} must name at least one, got an empty list")
