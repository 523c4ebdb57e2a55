"""Load YAML: option files, recipes, dataset cards and overrides are all read with this loader.

In: a file or a text. Out: plain values. It is PyYAML's safe loader with two differences: 1e-4 is a number (YAML 1.1
requires 1.0e-4), and a key that is given twice is an error, while YAML silently uses the last value.
"""

import re
from pathlib import Path
from typing import Any

import yaml

from diffir.errors import ConfigError


class _KeyTwice(yaml.YAMLError):
    """Raised if a mapping has a key twice; the message names the key and the lines."""


class _Loader(yaml.SafeLoader):
    """PyYAML's safe loader with the differences that the module describes."""

    def compose_mapping_node(self, anchor: Any) -> yaml.MappingNode:
        """Check the keys of a mapping before keys from elsewhere (``<<``) are merged, since these may be replaced."""
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
    """Read the values in a YAML file.

    Raises:
        ConfigError: the file is not YAML, or has a key twice.
        OSError: the file cannot be read.
    """
    try:
        return parse_yaml(path.read_text("utf-8"), str(path))
    except UnicodeDecodeError as error:
        raise ConfigError(f"{path} is not YAML: {error}") from error


def parse_yaml(text: str, where: str) -> Any:
    """Read the values in a YAML text; every error message begins with ``where``.

    Raises:
        ConfigError: the text is not YAML, or has a key twice.
    """
    try:
        return yaml.load(text, _Loader)
    except _KeyTwice as error:
        raise ConfigError(f"{where}: {error}") from error
    except (yaml.YAMLError, ValueError) as error:  # ValueError: an impossible date
        raise ConfigError(f"{where} is not YAML: {' '.join(str(error).split())}") from error
