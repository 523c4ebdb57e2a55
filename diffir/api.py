"""Where a name becomes a system: loading networks, making restorers, reading option files.

Everything else in the package receives what is made here. ``diffir.load`` is the function for users.
"""

from collections.abc import Sequence
from dataclasses import fields
from pathlib import Path
from typing import TYPE_CHECKING, Any

from torch import nn

from diffir.errors import UsageError
from diffir.inference.device import resolve_device, resolve_precision
from diffir.inference.options import RestoreOptions
from diffir.inference.restorer import Restorer
from diffir.near_names import meant
from diffir.system import System
from diffir.systems import SYSTEMS
from diffir.weights import load as weights_load
from diffir.weights.card import WeightsCard, system_of
from diffir.weights.catalogue import default_name

if TYPE_CHECKING:
    from diffir.config import RunConfig


def load(name_or_path: str | Path | None = None, **options: Any) -> Restorer:
    """A restorer with the network of that name or file; without one, the default that ships with diffir.

    Args:
        name_or_path: a name that ``diffir models`` lists, or a file of weights.
        options: fields of ``RestoreOptions`` (device, precision, tile, tile_overlap, tta, strength, seed) and of the
            system's own options; DiffIR has ``engine`` and ``stats``.
    Raises:
        UsageError: no such name, file, device, precision or option.
        WeightsError: the file does not hold a network that restores.
    """
    network, card = load_network(default_name() if name_or_path is None else name_or_path, restores=True)
    system = SYSTEMS[card.system]
    shared, own = _typed_options(system, options)
    own = system.suited_options(own, card.task, card.settings, card.gt_patch)
    return _restorer(system, network, shared, own, card.name, card.task)


def restorer_of(
    network: nn.Module, *, system: str = "diffir", name: str = "unnamed", task: str | None = None, **options: Any
) -> Restorer:
    """A restorer of a network that is in memory already; it is moved to the device and set to eval mode.

    Args:
        network: of the part that restores.
        system: name of its system.
        name: what tables and messages call it.
        task: row of the system's table, if the network is one.
        options: as ``load`` takes them.
    """
    return _restorer(SYSTEMS[system], network, *_typed_options(SYSTEMS[system], options), name, task)


def load_network(
    source: str | Path, part: str | None = None, *, restores: bool = False
) -> tuple[nn.Module, WeightsCard]:
    """The network of that name or in that file, in eval mode on the CPU, and its card; ``load_network`` of weights."""
    return weights_load.load_network(source, SYSTEMS, part=part, restores=restores)


def locate(source: str | Path) -> Path:
    """The file of that name of the catalogue, or the file itself."""
    return weights_load.locate(source, SYSTEMS)


def load_config(path: Path, overrides: Sequence[str] = ()) -> "RunConfig":
    """Read an option file of any system; see ``diffir.config_file``."""
    from diffir.config_file import load_config as read_options  # restoring needs no options

    return read_options(path, overrides, systems=SYSTEMS)


def system_of_card(card: WeightsCard, source: str) -> System:
    """The system of a card; ``source`` names its file in the message."""
    return system_of(card, SYSTEMS, source)


def _restorer(
    system: System, network: nn.Module, options: RestoreOptions, own: Any, name: str, task: str | None
) -> Restorer:
    device = resolve_device(options.device)
    precision = resolve_precision(options.precision, device)
    engine = system.engine(network, device, precision, own)
    return Restorer(engine, precision, options, name=name, task=task, system=system.name)


def _typed_options(system: System, options: dict[str, Any]) -> tuple[RestoreOptions, Any]:
    """The shared options and the system's own, from one flat mapping."""
    shared = {field.name for field in fields(RestoreOptions)}
    own = {field.name for field in fields(system.restore_options)}
    for key in options:
        if key not in shared | own:
            raise UsageError(f"unknown option {key!r} of {system.name}; {meant(key, sorted(shared | own))}")
    return (
        RestoreOptions(**{key: value for key, value in options.items() if key in shared}),
        system.restore_options(**{key: value for key, value in options.items() if key in own}),
    )
