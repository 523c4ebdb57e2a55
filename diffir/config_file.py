"""Option file to typed settings: read YAML, ours or DiffIR's, apply ``key=value`` overrides, write back.

In: a path and overrides. Out: a frozen ``RunConfig``. Overrides are dotted (``train.total_iter=1000``) or BasicSR's
``train:total_iter=1000``; values are read as YAML, never evaluated. An unknown key names the nearest known one.
"""

from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import yaml

from diffir.config import RunConfig
from diffir.errors import ConfigError
from diffir.systems.diffir.released_options import is_official, to_our_options
from diffir.typed_mapping import build
from diffir.yaml_file import parse_yaml, read_yaml


def load_config(path: Path, overrides: Sequence[str] = ()) -> RunConfig:
    """Read an option file.

    Raises:
        ConfigError: the file is missing or not YAML, a key is unknown, missing or has a value of another kind.
    """
    try:
        values = read_yaml(path)
    except OSError as error:
        raise ConfigError(f"cannot read option file {path}: {error.strerror}") from error
    if not isinstance(values, dict):
        raise ConfigError(f"{path} holds no options")
    if is_official(values):
        values = to_our_options(values)
    for override in overrides:
        _apply(values, override)
    for earlier, later in (("train", "stage2"), ("stage2", "stage3")):
        if isinstance(values.get(earlier), dict):
            values[later] = _merged(values[earlier], values.get(later) or {})
    return build(RunConfig, values, where=str(path))


def dump_config(config: RunConfig) -> str:
    """The resolved settings as YAML that ``load_config`` reads back."""
    return yaml.safe_dump(_plain(asdict(config)), sort_keys=False, allow_unicode=True)


def _apply(values: dict[str, Any], override: str) -> None:
    """Write one ``a.b.c=value`` into nested mappings."""
    path, equals, text = override.partition("=")
    if not equals or not path:
        raise ConfigError(f"override {override!r} is not key=value")
    *parents, last = path.replace(":", ".").split(".")
    for parent in parents:
        if values.get(parent) is None:
            values[parent] = {}
        values = values[parent]
        if not isinstance(values, dict):
            raise ConfigError(f"override {override!r}: {parent!r} holds a value, not keys")
    values[last] = parse_yaml(text, f"override {override!r}: the value")


def _merged(base: dict[str, Any], changes: dict[str, Any]) -> dict[str, Any]:
    """``base`` with the keys of ``changes`` laid over it, nested mappings key by key."""
    result = dict(base)
    for key, value in changes.items():
        nested = isinstance(value, dict) and isinstance(base.get(key), dict)
        result[key] = _merged(base[key], value) if nested else value
    return result


def _plain(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _plain(item) for key, item in value.items()}
    return [_plain(item) for item in value] if isinstance(value, list | tuple) else value
