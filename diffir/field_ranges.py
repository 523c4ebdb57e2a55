"""Allowed values of dataclass fields, declared on the field and checked in one place.

A field says ``sigma: Annotated[tuple[float, float], Within(0, 50)] = (1, 25)``, and its class calls ``check_fields``
once in ``__post_init__``, so that objects from a file and objects made in Python pass the same check. A rule is any
object with ``check(name, value)``; ``str(rule)`` is its text in tables. None always passes, for fields that may be
left out. A refused value raises ``ConfigError`` with the field's name, the allowed values and the value given.
"""

import math
import typing
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any, Protocol, runtime_checkable

from diffir.errors import ConfigError


@runtime_checkable
class Rule(Protocol):
    """A condition that the value of a field must meet."""

    def check(self, name: str, value: Any) -> None:
        """Raise ``ConfigError`` if the value of the field ``name`` is not allowed."""


@dataclass(frozen=True)
class Within:
    """A finite number in [lowest, highest], or a pair [low, high] with lowest <= low <= high <= highest."""

    lowest: float
    highest: float = math.inf

    def check(self, name: str, value: float | tuple[float, float]) -> None:
        """Refuse numbers outside, infinity, NaN, and pairs whose low end exceeds the high one."""
        if isinstance(value, Sequence):
            self._check_pair(name, value)
        elif not self.lowest <= value <= self.highest or value == math.inf:
            is_bounded = self.highest < math.inf
            allowed = f"lie in [{self.lowest:g}, {self.highest:g}]" if is_bounded else f"be {self}"
            raise ConfigError(f"{name} must {allowed}, got {_short(value)}")

    def _check_pair(self, name: str, value: Sequence[float]) -> None:
        low, high = value
        if not self.lowest <= low <= high <= self.highest or high == math.inf:
            limits = f"{self.lowest:g} <= low <= high" + (f" <= {self.highest:g}" if self.highest < math.inf else "")
            raise ConfigError(f"{name} must be [low, high] with {limits}, got {list(value)}")

    def __str__(self) -> str:
        return f"{self.lowest:g} to {self.highest:g}" if self.highest < math.inf else f"{self.lowest:g} or more"


@dataclass(frozen=True)
class Above:
    """A number that is greater than ``bound``."""

    bound: float

    def check(self, name: str, value: float) -> None:
        """Refuse the bound itself, everything below it, and NaN."""
        if not value > self.bound:
            raise ConfigError(f"{name} must be {self}, got {_short(value)}")

    def __str__(self) -> str:
        return f"above {self.bound:g}"


@dataclass(frozen=True)
class EachIn:
    """A number in the half-open interval [lowest, below), or a list of such numbers in any order."""

    lowest: float
    below: float

    def check(self, name: str, value: float | Sequence[float]) -> None:
        """Refuse a number outside the interval and NaN, alone or in a list."""
        numbers = list(value) if isinstance(value, Sequence) else [value]
        if not all(self.lowest <= number < self.below for number in numbers):
            given = numbers if isinstance(value, Sequence) else _short(value)
            raise ConfigError(f"{name} must lie in [{self.lowest:g}, {self.below:g}), got {given}")

    def __str__(self) -> str:
        return f"{self.lowest:g} to below {self.below:g}"


@dataclass(frozen=True)
class Weights:
    """Relative frequencies, as a list or as the values of a mapping: 0 or more, and not all of them 0."""

    def check(self, name: str, value: Sequence[object] | Mapping[Any, object]) -> None:
        """Refuse entries that are not finite numbers of 0 or more, and weights that are all 0."""
        if isinstance(value, Mapping):
            name, value = f"the weights of {name}", list(value.values())
        numbers = [weight for weight in value if isinstance(weight, int | float) and not isinstance(weight, bool)]
        if len(numbers) < len(value) or not all(0 <= number < math.inf for number in numbers):
            raise ConfigError(f"{name} must be numbers of 0 or more, got {list(value)}")
        if not any(numbers):
            raise ConfigError(f"{name} must hold one number above 0, got {list(value)}")

    def __str__(self) -> str:
        return "0 or more, one above 0"


@dataclass(frozen=True)
class NotEmpty:
    """A list with at least one entry."""

    def check(self, name: str, value: Sequence[object]) -> None:
        """Refuse a list without entries."""
        if not value:
            raise ConfigError(f"{name} must name at least one, got an empty list")

    def __str__(self) -> str:
        return "at least one"


def check_fields(instance: object) -> None:
    """Check every field of a dataclass instance against its rules, in the order of the fields.

    Raises:
        ConfigError: a value is not allowed; the message begins with the name of the field.
    """
    cls: type = type(instance)
    for name, rules in rules_of(cls).items():
        value = getattr(instance, name)
        for rule in rules if value is not None else ():
            rule.check(name, value)


@cache
def rules_of(cls: type) -> dict[str, tuple[Rule, ...]]:
    """The rules that a class declares on its fields, by field name; fields without rules are left out."""
    hints = typing.get_type_hints(cls, include_extras=True)
    # Annotated[...] has one more attribute than other hints: the objects after the type.
    found = {name: getattr(hint, "__metadata__", ()) for name, hint in hints.items()}
    rules = {name: tuple(extra for extra in extras if isinstance(extra, Rule)) for name, extras in found.items()}
    return {name: declared for name, declared in rules.items() if declared}


def _short(number: float) -> str:
    return f"{number:g}" if isinstance(number, float) else str(number)
