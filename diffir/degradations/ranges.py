"""Checks that steps share: a range is [low, high], a probability lies in [0, 1]."""

import math

from diffir.errors import ConfigError


def check_range(name: str, given: tuple[float, float], *, lowest: float, highest: float = math.inf) -> None:
    """Refuse a range that is upside down or leaves [lowest, highest]."""
    low, high = given
    if not lowest <= low <= high <= highest:
        limits = f"{lowest:g} <= low <= high" + (f" <= {highest:g}" if highest < math.inf else "")
        raise ConfigError(f"{name} must be [low, high] with {limits}, got {list(given)}")


def check_probability(name: str, given: float) -> None:
    """Refuse what is no probability."""
    if not 0 <= given <= 1:
        raise ConfigError(f"{name} must lie in [0, 1], got {given:g}")
