"""YAML as people write it here: option files, recipes, dataset cards and overrides go through this one loader.

In: a file or a text. Out: plain values. Safe YAML, never evaluated, with two differences: 1e-4 is a number, as everyone
expects (YAML 1.1 wants 1.0e-4), and a key that is given twice is an error, where YAML would silently take the last.
"""

import re
from pathlib import Path
from typing import Any

import yaml

from diffir.errors import ConfigError


class _KeyTwice(yaml.YAMLError):
    """Which key, and where."""


class _Loader(yaml.SafeLoader):
    """See the module."""

    def compose_mapping_node(self, anchor: Any) -> yaml.MappingNode:
        """The mapping as it is written: merged keys (``<<``), which may be given again, are not in it yet."""
        node = super().compose_mapping_node(anchor)
        lines: dict[str, int] = {}
        for key, _ in node.value:
            if not isinstance(key, yaml.ScalarNode):
                continue
            line = key.start_mark.line + 1
            if key.value in lines:
                raise _KeyTwice(f"the key {key.value!r} is given twice (lines {lines[key.value]} and {line}); keep one")
            lines[key.value] = line
        return node


_Loader.add_implicit_resolver(
    "tag:yaml.org,2002:float",
    re.compile(r"^[-+]?(\d[\d_]*(\.\d*)?|\.\d+)[eE][-+]?\d+$"),
    list("-+0123456789."),
)


def read_yaml(path: Path) -> Any:
    """What a file says.

    Raises:
        ConfigError: it is not YAML, or gives a key twice.
        OSError: it cannot be read.
    """
    try:
        return parse_yaml(path.read_text("utf-8"), str(path))
    except UnicodeDecodeError as error:
        raise ConfigError(f"{path} is not YAML: {error}") from error


def parse_yaml(text: str, where: str) -> Any:
    """What a text says; ``where`` opens every error message.

    Raises:
        ConfigError: it is not YAML, or gives a key twice.
    """
    try:
        return yaml.load(text, _Loader)
    except _KeyTwice as error:
        raise ConfigError(f"{where}: {error}") from error
    except (yaml.YAMLError, ValueError) as error:  # ValueError: a date that is none
        raise ConfigError(f"{where} is not YAML: {' '.join(str(error).split())}") from error
