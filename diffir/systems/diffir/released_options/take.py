"""Read an option file key by key: every key that is understood is removed, so the rest is what was ignored.

In: nested mappings as YAML gives them. Out: values. The mappings are changed in place, so pass a copy.
"""

from collections.abc import Iterator
from typing import Any

from diffir.errors import ConfigError

Section = dict[str, Any]


def section(values: Section, key: str) -> Section:
    """The mapping under a key; an empty one if the key is missing."""
    found = values.get(key)
    if found is None:
        return {}
    if not isinstance(found, dict):
        raise ConfigError(f"{key}: expected keys and values, got {found!r}")
    return found


def take(values: Section, key: str, default: Any = None) -> Any:
    """Remove a key and return its value; whole numbers that BasicSR writes as 5e3 become int."""
    value = values.pop(key, None)
    if value is None:
        return default
    return int(value) if isinstance(value, float) and value >= 1 and value.is_integer() else value


def kept(values: Section, *keys: str) -> Section:
    """Remove and return the keys that have the same name and meaning here, if the file has them."""
    found = {key: take(values, key) for key in keys}
    return {key: value for key, value in found.items() if value is not None}


def only(values: Section, where: str, key: str, *allowed: Any) -> None:
    """Remove a key that may be missing; raise ConfigError if it has none of the values that are supported here."""
    value = take(values, key, allowed[0])
    if value not in allowed:
        raise ConfigError(f"{where}.{key}: {value!r} is not supported here, only {' or '.join(map(repr, allowed))}")


def ignored(left: Section, before: Section, prefix: str = "") -> Iterator[str]:
    """Names of the keys that are left; a section of which nothing was used is named as a whole."""
    for key, value in left.items():
        if isinstance(value, dict) and value != before.get(key):
            yield from ignored(value, before[key], f"{prefix}{key}.")
        elif _has_a_value(value):
            yield f"{prefix}{key}"


def _has_a_value(value: Any) -> bool:
    return any(map(_has_a_value, value.values())) if isinstance(value, dict) else value is not None
