"""Flags for the restore options that only one system has, made from the fields of their dataclasses.

In: the table of systems. Out: a group of flags for each system, and the options that were given in parsed flags. An
option that two systems share gets one flag.
"""

import argparse
from collections.abc import Iterable
from dataclasses import Field, fields
from types import NoneType, UnionType
from typing import Any, Literal, Union, get_args, get_origin, get_type_hints

from diffir.system import System
from diffir.systems import SYSTEMS


def add_system_flags(parser: argparse.ArgumentParser) -> None:
    """Add a group of flags for each system that has options of its own."""
    seen: set[str] = set()  # names of options that have a flag already
    for system in SYSTEMS.values():
        hints = get_type_hints(system.restore_options)
        new = [field for field in _flag_fields(system.restore_options) if field.name not in seen]
        group = parser.add_argument_group(f"networks of {system.name}") if new else None
        for field in new:
            assert group is not None
            seen.add(field.name)
            names = [field.metadata["short"]] if "short" in field.metadata else []
            group.add_argument(*names, f"--{field.name}", help=field.metadata.get("help"), **_kind(hints[field.name]))


def given_options(args: argparse.Namespace, *systems: System) -> dict[str, Any]:
    """The own options of these systems that were given on the command line."""
    names = [field.name for system in systems for field in _flag_fields(system.restore_options)]
    return {name: value for name in names if (value := getattr(args, name, None)) is not None}


def foreign_options(args: argparse.Namespace, systems: Iterable[System]) -> list[str]:
    """Options that were given on the command line and that none of these systems has."""
    known = {field.name for system in systems for field in _flag_fields(system.restore_options)}
    every = {field.name for system in SYSTEMS.values() for field in _flag_fields(system.restore_options)}
    return sorted(name for name in every - known if getattr(args, name, None) is not None)


def _kind(hint: Any) -> dict[str, Any]:
    """Arguments of ``add_argument`` for a value of this type; the flag is None where it is not given."""
    if get_origin(hint) in (Union, UnionType):
        (hint,) = (kind for kind in get_args(hint) if kind is not NoneType)
    if get_origin(hint) is Literal:
        return {"choices": get_args(hint), "type": type(get_args(hint)[0])}
    if hint is bool:
        return {"action": argparse.BooleanOptionalAction, "default": None}
    assert hint in (int, float, str), f"no flag can hold a {hint}"
    return {"type": hint}


def _flag_fields(options: type) -> list[Field]:
    return [field for field in fields(options) if field.metadata.get("flag", True)]
