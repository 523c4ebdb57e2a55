"""Flags for the own restore options of every system, made from the fields of their dataclasses.

In: the table of systems. Out: one group of flags a system, and from parsed flags the options that were given. Options
that two systems share get one flag.
"""

import argparse
from dataclasses import Field, fields
from typing import Any, get_args, get_type_hints

from diffir.systems import SYSTEMS


def add_system_flags(parser: argparse.ArgumentParser) -> None:
    """A group of flags for each system that has options of its own."""
    seen: set[str] = set()
    for system in SYSTEMS.values():
        hints = get_type_hints(system.restore_options)
        new = [field for field in _flag_fields(system.restore_options) if field.name not in seen]
        if not new:
            continue
        group = parser.add_argument_group(f"{system.name} networks")
        for field in new:
            seen.add(field.name)
            choices = get_args(hints[field.name]) or None
            kind = None if choices else type(field.default)
            group.add_argument(f"--{field.name}", choices=choices, type=kind or str, help=field.metadata.get("help"))


def given_options(args: argparse.Namespace) -> dict[str, Any]:
    """The systems' own options that were given on the command line."""
    names = {field.name for system in SYSTEMS.values() for field in _flag_fields(system.restore_options)}
    return {name: value for name in sorted(names) if (value := getattr(args, name, None)) is not None}


def _flag_fields(options: type) -> list[Field]:
    return [field for field in fields(options) if field.metadata.get("flag", True)]
