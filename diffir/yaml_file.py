"""Load YAML: option files, recipes, dataset cards and overrides are all read with this loader.

In: a file or a text. Out: plain values. It is PyYAML's safe loader with these differences: 1e-4 is a number (YAML 1.1
requires 1.0e-4), a key that is given twice is an error, while YAML silently uses the last value, and size, depth and
integers are limited. Every mistake in a file is one line that names the file and the place.
"""

import re
from pathlib import Path
from typing import Any

import yaml

from diffir.errors import ConfigError

LARGEST_FILE = 1_000_000  # bytes; the largest file of this repository has 18 thousand
DEEPEST = 50  # levels; option files have six
MOST_VALUES = 50_000  # with the values that aliases repeat, so that a small file cannot stand for billions of them
_LARGEST_INTEGER = 2**64
_SHOWN = 40  # characters of a value in a message
_NEVER_MEANT = re.compile("[\0\ud800-\udfff]")  # no path can hold them, and half of a surrogate pair cannot be written


class _Refusal(yaml.YAMLError):
    """Raised for text that is YAML, but not accepted; the message names the reason and the place."""


class _Loader(yaml.SafeLoader):
    """PyYAML's safe loader with the differences that the module describes."""

    def __init__(self, text: str) -> None:
        self.open_anchors: list[str | None] = []
        """Names of the sequences and mappings around the current place, outermost first; None if one has no name."""
        self.sizes: dict[int, int] = {}
        """Number of values in each finished node by its ``id``, counted again wherever an alias repeats them."""
        self.composed = 0
        super().__init__(text)

    def compose_node(self, parent: yaml.Node | None, index: Any) -> yaml.Node | None:
        """Compose a node within the limits on depth and on the number of values."""
        event = self.peek_event()
        if isinstance(event, yaml.AliasEvent) and event.anchor in self.open_anchors:
            raise _Refusal(f"*{event.anchor} contains itself ({_place(event.start_mark)})")
        if len(self.open_anchors) > DEEPEST:
            raise _Refusal(f"it is nested deeper than {DEEPEST} levels ({_place(event.start_mark)})")
        self.open_anchors.append(event.anchor)
        self.composed += 1
        node = super().compose_node(parent, index)
        self.open_anchors.pop()
        if node is not None and id(node) not in self.sizes:
            self.sizes[id(node)] = 1 + sum(self.sizes[id(child)] for child in _children(node))
        if node is not None and max(self.composed, self.sizes[id(node)]) > MOST_VALUES:
            raise _Refusal(f"it holds more than {MOST_VALUES:,} values ({_place(node.start_mark)})")
        return node

    def compose_mapping_node(self, anchor: Any) -> yaml.MappingNode:
        """Check the keys of a mapping before keys from elsewhere (``<<``) are merged, since these may be replaced."""
        node = super().compose_mapping_node(anchor)
        lines: dict[str, int] = {}
        for key, _ in node.value:
            if not isinstance(key, yaml.ScalarNode):
                continue
            line = key.start_mark.line + 1
            if key.value in lines:
                raise _Refusal(f"the key {key.value!r} is given twice (lines {lines[key.value]} and {line}); keep one")
            lines[key.value] = line
        return node

    def construct_object(self, node: yaml.Node, deep: bool = False) -> Any:
        """Construct a value; the errors of Python for values of a wrong kind become errors with a place."""
        try:
            value = super().construct_object(node, deep)
        except yaml.YAMLError:
            raise
        except Exception as error:  # PyYAML's constructors raise errors of many types, such as KeyError for !!bool x
            kind = node.tag.rpartition(":")[2]
            problem = f"{str(node.value)[:_SHOWN]!r} is not a valid {kind}"
            raise yaml.constructor.ConstructorError(None, None, problem, node.start_mark) from error
        if isinstance(value, int) and abs(value) > _LARGEST_INTEGER:
            raise _Refusal(f"an integer of more than 64 bits ({_place(node.start_mark)})")
        if isinstance(value, str) and _NEVER_MEANT.search(value):
            raise _Refusal(f"{value[:_SHOWN]!r} holds a character that no text has ({_place(node.start_mark)})")
        return value


_Loader.add_implicit_resolver(
    "tag:yaml.org,2002:float",
    re.compile(r"^[-+]?(\d[\d_]*(\.\d*)?|\.\d+)[eE][-+]?\d+$"),
    list("-+0123456789."),
)


def read_yaml(path: Path) -> Any:
    """Read the values in a YAML file.

    Raises:
        ConfigError: the file is not YAML, is larger or deeper than any file of options, or has a key twice.
        OSError: the file cannot be read.
    """
    with path.open("rb") as file:
        content = file.read(LARGEST_FILE + 1)  # not all of it: the path may be that of a video or of /dev/zero
    try:
        return parse_yaml(content.decode("utf-8"), str(path))
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        raise ConfigError(f"{path} is not YAML: its text is not UTF-8 (line {line})") from error


def parse_yaml(text: str, where: str) -> Any:
    """Read the values in a YAML text; every error message begins with ``where``.

    Raises:
        ConfigError: the text is not YAML, is larger or deeper than any file of options, or has a key twice.
    """
    if len(text) > LARGEST_FILE:
        raise ConfigError(f"{where}: it is larger than {LARGEST_FILE:,} bytes, which no file of options is")
    loader = None
    try:
        loader = _Loader(text)
        return loader.get_single_data()
    except _Refusal as error:
        raise ConfigError(f"{where}: {error}") from error
    except yaml.MarkedYAMLError as error:
        words = " ".join(", ".join(filter(None, [error.context, error.problem])).split())
        mark = error.problem_mark or error.context_mark
        raise ConfigError(f"{where} is not YAML: {words} ({_place(mark)})") from error
    except yaml.reader.ReaderError as error:
        line = text.count("\n", 0, error.position) + 1
        raise ConfigError(f"{where} is not YAML: character {error.character:#x} in it (line {line})") from error
    except Exception as error:  # PyYAML's scanner raises errors of Python, such as OverflowError for "\Uffffffff"
        place = f" ({_place(loader.get_mark())})" if loader is not None else ""
        raise ConfigError(f"{where} is not YAML: {' '.join(str(error).split())}{place}") from error


def _children(node: yaml.Node) -> list[yaml.Node]:
    """Return the nodes directly inside a node; keys count as values do."""
    if isinstance(node, yaml.MappingNode):
        return [child for pair in node.value for child in pair]
    return node.value if isinstance(node, yaml.SequenceNode) else []


def _place(mark: Any) -> str:
    """Return the place of one of PyYAML's marks in words."""
    return f"line {mark.line + 1}, column {mark.column + 1}"
