"""Build a frozen dataclass from a mapping of YAML or JSON, with checks of all keys and types.

In: a dataclass and a mapping. Out: an instance of the dataclass, with nested dataclasses and tuples. An unknown key is
an error that names the most similar known key; a value of another type is an error that names the expected one.
``check_type`` checks the types of an instance that other code has made from a file.
"""

import types
import typing
from collections.abc import Mapping, Sequence
from dataclasses import MISSING, fields, is_dataclass
from typing import Any, Literal, TypeVar, Union, get_args, get_origin

from diffir.errors import ConfigError
from diffir.near_names import meant

T = TypeVar("T")


def build(cls: type[T], values: Any, where: str) -> T:
    """Build an instance of ``cls`` from a mapping; error messages begin with ``where``."""
    if not isinstance(values, dict):
        raise ConfigError(f"{where}: expected keys and values, got {values!r}")
    # Check the keys.
    hints = typing.get_type_hints(cls)
    known = {item.name: item for item in fields(cls)}  # type: ignore[arg-type]
    for key in values:
        if key not in known:
            raise ConfigError(f"{where}: unknown key {key!r}; {meant(str(key), known)}")
    for key, item in known.items():
        if item.default is MISSING and item.default_factory is MISSING and key not in values:
            raise ConfigError(f"{where}: the key {key!r} is missing")

    # Convert the values; the class itself checks their ranges.
    converted = {key: _convert(hints[key], value, f"{where}: {key}") for key, value in values.items()}
    try:
        return cls(**converted)
    except ConfigError as error:  # a value out of range: add its place
        raise ConfigError(f"{where}: {error}") from error


def check_type(hint: Any, value: object, where: str) -> None:
    """Check that a value has an annotated type, and so have the fields and items in it, at every depth.

    Raises:
        ConfigError: it has not; the message begins with ``where`` and names the field.
    """
    origin, arguments = get_origin(hint), get_args(hint)
    if hint in (Any, object):
        return
    if origin in (Union, types.UnionType):
        if value is not None or type(None) not in arguments:
            check_type(next(a for a in arguments if a is not type(None)), value, where)
        return
    kinds = _instances(hint)
    if not isinstance(value, kinds) or (isinstance(value, bool) and hint is not bool):
        expected = getattr(hint, "__name__", str(hint))
        raise ConfigError(f"{where}: expected {expected}, got {str(value)[:40]!r}")

    # Check what is inside.
    if is_dataclass(hint):
        hints = typing.get_type_hints(hint)
        for item in fields(hint):
            check_type(hints[item.name], getattr(value, item.name), f"{where}: {item.name}")
    elif isinstance(value, Mapping):
        for key, inner in value.items():
            check_type(arguments[0], key, where)
            check_type(arguments[1], inner, f"{where}: {key}")
    elif arguments and isinstance(value, list | tuple):
        for inner in value:
            check_type(arguments[0], inner, where)


def _instances(hint: Any) -> tuple[type, ...]:
    """Return the classes whose instances an annotation accepts; a list in a file may become a tuple."""
    if hint is float:
        return (float, int)
    if get_origin(hint) is Literal:
        return tuple({type(choice) for choice in get_args(hint)})
    kind = get_origin(hint) or hint
    return (list, tuple) if kind in (tuple, list, Sequence) else (kind,)


def _convert(hint: Any, value: Any, where: str) -> Any:
    """Convert a value to its annotated type, or raise an error that names the expected type."""
    origin, arguments = get_origin(hint), get_args(hint)
    if is_dataclass(hint):
        return build(hint, value, where)  # type: ignore[arg-type]
    if origin in (Union, types.UnionType):
        if value is None:
            return None
        return _convert(next(a for a in arguments if a is not type(None)), value, where)
    if origin is Literal:
        if value not in arguments:
            raise ConfigError(f"{where}: {value!r} is not one of {', '.join(map(str, arguments))}")
        return value
    if origin is tuple:
        return _convert_sequence(arguments, value, where)
    if hint is Any:
        return value
    if origin is dict:
        if not isinstance(value, dict):
            raise ConfigError(f"{where}: expected keys and values, got {value!r}")
        return value
    if hint is float and isinstance(value, int) and not isinstance(value, bool):
        return float(value)
    if not isinstance(value, hint) or (isinstance(value, bool) and hint is not bool):
        raise ConfigError(f"{where}: expected {hint.__name__}, got {value!r}")
    return value


def _convert_sequence(arguments: tuple[Any, ...], value: Any, where: str) -> tuple[Any, ...]:
    if not isinstance(value, list | tuple):
        raise ConfigError(f"{where}: expected a list{_such_as(arguments, value)}, got {value!r}")
    if arguments[-1] is Ellipsis:
        return tuple(_convert(arguments[0], item, where) for item in value)
    if len(value) != len(arguments):
        raise ConfigError(f"{where}: expected {len(arguments)} numbers, got {value!r}")
    return tuple(_convert(hint, item, where) for hint, item in zip(arguments, value, strict=True))


def _such_as(arguments: tuple[Any, ...], value: Any) -> str:
    """Return an example for messages if the value is one number or name and a list was expected."""
    fits = isinstance(value, str if arguments[0] is str else int | float) and not isinstance(value, bool)
    if arguments[0] not in (int, float, str) or not fits:
        return ""
    count = 1 if arguments[-1] is Ellipsis else len(arguments)
    return f" such as [{', '.join([str(value)] * count)}]"
