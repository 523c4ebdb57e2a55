"""Read an option file, of diffir or of a method's authors, apply overrides, and write resolved options.

In: a path, overrides and the table of systems. Out: a frozen ``RunConfig``. Keys of overrides are separated by dots
(``stages.prior.total_iter=1000``) or as in BasicSR (``train:total_iter=1000``). Their values are read as YAML and never
evaluated. An unknown key is an error that names the most similar known key.
"""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, fields, replace
from pathlib import Path
from typing import Any

import yaml

from diffir.config import RunConfig, TrainConfig
from diffir.errors import ConfigError
from diffir.near_names import meant, nearest
from diffir.shipped_files import option_file, option_name, option_names
from diffir.system import System
from diffir.typed_mapping import build
from diffir.yaml_file import parse_yaml, read_yaml

BASE = "train"  # the section whose settings all stages inherit


def load_config(path: Path, overrides: Sequence[str] = (), *, systems: Mapping[str, System]) -> RunConfig:
    """Read an option file and apply overrides.

    Args:
        path: path of a file, or the name of one that ships, such as ``denoise/small``.
        overrides: texts such as ``train.total_iter=1000``.
        systems: the table of systems.
    Raises:
        ConfigError: the file is missing or not YAML, or a key is unknown, missing or has a value of another kind.
        UsageError: the table of networks has no such row.
    """
    # Read the file; a system may translate option files of other projects.
    path = option_file(path)
    try:
        values = read_yaml(path)
    except FileNotFoundError as error:
        near = nearest(option_name(path), option_names())
        hint = f"did you mean {near}? " if near else ""
        raise ConfigError(
            f"cannot read option file {path}: neither a file nor one that ships; {hint}diffir options lists those"
        ) from error
    except OSError as error:
        raise ConfigError(f"cannot read option file {path}: {error.strerror}") from error
    if not isinstance(values, dict):
        raise ConfigError(f"{path} holds no options")
    for system in systems.values():
        translated = system.translated_options(values)
        if translated is not None:
            values = {"system": system.name, **translated}
            break
    chosen = [override.partition("=")[2] for override in overrides if override.startswith("system=")]
    name = chosen[-1] if chosen else values.get("system", "diffir")
    if name not in systems:
        raise ConfigError(f"{path}: unknown system {name!r}; {meant(str(name), systems)}")
    if not systems[name].stages:
        raise ConfigError(f"{path}: networks of the system {name} restore photos and are not trained by diffir")

    # Apply the overrides; the names of the stages in them depend on the system.
    for override in overrides:
        _apply(values, override, systems[name])
    return typed_config(values, systems[name], str(path))


def dump_config(config: RunConfig) -> str:
    """Return the resolved options as YAML that ``load_config`` can read."""
    values = asdict(config)
    for section in values["stages"].values():
        section |= section.pop("own") or {}
    return yaml.safe_dump(_plain(values), sort_keys=False, allow_unicode=True)


def typed_config(values: dict[str, Any], system: System, where: str) -> RunConfig:
    """Build the options from a mapping; error messages begin with ``where``. Raises the errors of ``load_config``."""
    known = [*(field.name for field in fields(RunConfig)), *_numbered(system)]
    for key in values:
        if key not in known:
            raise ConfigError(f"{where}: unknown key {key!r}; {meant(str(key), known)}")

    # Build the sections of the stages, then everything else.
    sections = _sections(values, system, where)
    stages = {name: _stage(name, section, system, f"{where}: {place}") for name, (section, place) in sections.items()}
    rest = {key: value for key, value in values.items() if key not in (*_numbered(system), "stages", "run_stages")}
    chosen = _chosen(values, system)
    usual = list(system.usual_stages)
    config = build(RunConfig, {**rest, "stages": stages, "run_stages": usual if chosen is None else chosen}, where)
    try:
        if chosen is None:
            config = replace(config, run_stages=system.stages_for(config.network_g))
        _check_start(config, system)
        system.check_run(config)
        _check_patches(config, system)
    except ConfigError as error:
        raise ConfigError(f"{where}: {error}") from error
    return config


def _numbered(system: System) -> list[str]:
    """Return the keys of the stages' sections in files that number their stages: train, stage2, stage3 ..."""
    return [BASE, *(f"stage{number}" for number in range(2, len(system.stages) + 1))]


def _sections(values: dict[str, Any], system: System, where: str) -> dict[str, tuple[Any, str]]:
    """Return the whole section of each stage, and its place in the file for messages.

    A file either names its stages (``stages: {prior: {...}}``), and each section lists its differences from ``train``;
    or it numbers them (``train``, ``stage2``, ``stage3``), and each section lists its differences from the one before.
    """
    # Find the sections, and check the names of the stages.
    numbered = dict(zip(system.stages, _numbered(system), strict=True))
    base = values.get(BASE, {})
    named = values["stages"] if isinstance(values.get("stages"), dict) else None
    for key in named or ():
        if key not in system.stages:
            raise ConfigError(f"{where}: stages: unknown stage {key!r}; {meant(str(key), system.stages)}")

    # Merge the sections.
    sections: dict[str, tuple[Any, str]] = {}
    for stage, key in numbered.items():
        changes = {} if key == BASE else values.get(key) or {}
        if named is None:
            base = _merged(base, changes)
            sections[stage] = (base, key)
        else:
            sections[stage] = (_merged(_merged(base, named.get(stage) or {}), changes), f"stages: {stage}")
    return sections


def _chosen(values: dict[str, Any], system: System) -> Any:
    """Return the names of the stages that run, which the options give as names or numbers; None if they do not."""
    chosen = values.get("run_stages")
    if chosen is None:
        chosen = values.get("stages")
    if isinstance(chosen, dict):
        return [stage for stage in system.stages if stage in chosen]
    if not isinstance(chosen, list | tuple):
        return chosen  # ``build`` refuses it
    numbers = dict(enumerate(system.stages, 1))
    return [numbers.get(stage, str(stage)) if isinstance(stage, int) else stage for stage in chosen]


def _stage(name: str, section: Any, system: System, where: str) -> TrainConfig:
    """Build the options of a stage: shared keys become a ``TrainConfig``, the system's own keys its dataclass."""
    if not isinstance(section, dict):
        raise ConfigError(f"{where}: expected keys and values, got {section!r}")
    # Check the keys.
    shared = {field.name for field in fields(TrainConfig)} - {"own"}
    own = {field.name for field in fields(system.training_options)}
    for key in section:
        if key not in shared | own:
            raise ConfigError(f"{where}: unknown key {key!r}; {meant(str(key), sorted(shared | own))}")

    # Build both parts, and let the system check them together.
    stage = build(TrainConfig, {key: value for key, value in section.items() if key in shared}, where)
    typed: object = build(system.training_options, {key: value for key, value in section.items() if key in own}, where)
    stage = replace(stage, own=typed)
    if stage.losses and not system.takes_losses:
        raise ConfigError(f"{where}: losses: the system {system.name} has its own losses only; drop this section")
    try:
        system.check(name, stage)
    except ConfigError as error:
        raise ConfigError(f"{where}: {error}") from error
    return stage


def _check_start(config: RunConfig, system: System) -> None:
    """Refuse weights to start from for a part that the system does not have."""
    for part in config.path.start:
        if part not in system.parts:
            raise ConfigError(f"path: start: unknown part {part!r}; {meant(part, system.parts)}")
    for part, value in config.path.start.items():
        if not isinstance(value, str):
            raise ConfigError(f"path: start: {part}: expected a name or file, got {value!r}")


def _check_patches(config: RunConfig, system: System) -> None:
    """Refuse patch sizes that are not multiples of what the network needs."""
    facts = system.row(config.network_g).facts
    step = facts.multiple_of * facts.scale
    for stage in config.run_stages:
        for size in config.stages[stage].gt_sizes or (config.datasets.train.gt_size,):
            if size == 0 and not facts.thumbnail:
                raise ConfigError("gt_sizes: 0 is for networks that read a thumbnail of the whole photo")
            if size % step:
                raise ConfigError(f"gt_size {size} is not a multiple of {step}, which this network needs")


def _apply(values: dict[str, Any], override: str, system: System) -> None:
    """Write one ``a.b.c=value`` into nested mappings; ``stages.NAME`` works in files that number their stages, too."""
    # Read key and value.
    path, equals, text = override.partition("=")
    if not equals or not path:
        raise ConfigError(f"override {override!r} is not key=value")
    *parents, last = path.replace(":", ".").split(".")
    value = parse_yaml(text, f"override {override!r}: the value")

    # Translate the names of stages to the keys of this file.
    if (parents, last) == ([], "stages") and not isinstance(value, dict):
        last = "run_stages"  # which stages run; the sections of the file stay
    numbered = dict(zip(system.stages, _numbered(system), strict=True))
    if parents[:1] == ["stages"] and len(parents) > 1 and not isinstance(values.get("stages"), dict):
        parents = [numbered.get(parents[1], parents[1]), *parents[2:]]

    # Write the value, and create missing sections on the way.
    for parent in parents:
        if values.get(parent) is None:
            values[parent] = {}
        values = values[parent]
        if not isinstance(values, dict):
            raise ConfigError(f"override {override!r}: {parent!r} holds a value, not keys")
    values[last] = value


def _merged(base: Any, changes: Any) -> Any:
    """Merge ``changes`` into ``base``: nested mappings key by key; any other value replaces the old one."""
    if not isinstance(base, dict) or not isinstance(changes, dict):
        return changes if not isinstance(changes, dict) or changes else base
    result = dict(base)
    for key, value in changes.items():
        result[key] = _merged(base[key], value) if key in base and isinstance(value, dict) else value
    return result


def _plain(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _plain(item) for key, item in value.items()}
    return [_plain(item) for item in value] if isinstance(value, list | tuple) else value
