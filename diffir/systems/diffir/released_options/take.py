"""Taking an option file apart: whatever is understood is taken out, and what is left at the end is what was ignored.

In: nested mappings as YAML gives them. Out: values. The mappings are emptied in place, so give a copy.
"""

from collections.abc import Iterator
from typing import Any

from diffir.errors import ConfigError

Section = dict[str, Any]


def section(values: Section, key: str) -> Section:
    """A mapping inside a mapping, to take from; empty where there is none."""
    found = values.get(key)
    if found is None:
        return {}
    if not isinstance(found, dict):
        raise ConfigError(f"{key}: expected keys and values, got {found!r}")
    return found


def take(values: Section, key: str, default: Any = None) -> Any:
    """A value, no longer left over; BasicSR writes whole numbers as 5e3."""
    value = values.pop(key, None)
    if value is None:
        return default
    return int(value) if isinstance(value, float) and value >= 1 and value.is_integer() else value


def kept(values: Section, *keys: str) -> Section:
    """The keys that have the same name and meaning here, where the file has them."""
    found = {key: take(values, key) for key in keys}
    return {key: value for key, value in found.items() if value is not None}


def only(values: Section, where: str, key: str, *allowed: Any) -> None:
    """Take a key that may be absent, and otherwise has no choice here."""
    value = take(values, key, allowed[0])
    if value not in allowed:
        raise ConfigError(f"{where}.{key}: {value!r} cannot be expressed here, only {' or '.join(map(repr, allowed))}")


def ignored(left: Section, before: Section, prefix: str = "") -> Iterator[str]:
    """Names of what is left over; a section of which nothing was taken is named as a whole."""
    for key, value in left.items():
        if isinstance(value, dict) and value != before.get(key):
            yield from ignored(value, before[key], f"{prefix}{key}.")
        elif _says_something(value):
            yield f"{prefix}{key}"


def _says_something(value: Any) -> bool:
    return any(map(_says_something, value.values())) if isinstance(value, dict) else value is not None
