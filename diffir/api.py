"""Load networks, make restorers and read option files; the only module that looks up a system by its name.

The rest of the package receives the objects that are made here. ``diffir.load`` is the function for users.
"""

from collections.abc import Sequence
from dataclasses import fields
from pathlib import Path
from typing import TYPE_CHECKING, Any

from torch import nn

from diffir.errors import UsageError
from diffir.files import why_refused
from diffir.inference.device import resolve_device, resolve_precision
from diffir.inference.options import RestoreOptions
from diffir.near_names import meant
from diffir.photo_restorer import Chain, Restorer
from diffir.system import System
from diffir.systems import SYSTEMS
from diffir.weights import load as weights_load
from diffir.weights.card import METADATA_KEY, WeightsCard, system_of
from diffir.weights.catalogue import default_name
from diffir.weights.header import is_safetensors, read_header

if TYPE_CHECKING:
    from diffir.config import RunConfig


def load(name_or_path: str | Path | None = None, **options: Any) -> Restorer:
    """Make a restorer from the name or file of weights; without one, from the default weights of the package.

    Args:
        name_or_path: a name that ``diffir models`` lists, a file of weights, or ``hf:OWNER/NAME`` on the Hugging Face
            Hub; or several joined by commas, such as "photo,realsr_x4", which restore one after the other. Options
            then apply to each network that has them.
        options: fields of ``RestoreOptions`` (device, precision, tile, tile_overlap, tta, strength, seed and others)
            and of the system's own options; DiffIR has ``engine`` and ``stats``.
    Raises:
        UsageError: the name, file, device, precision or option does not exist.
        WeightsError: the file does not hold a network that restores.
    """
    names = members_of(name_or_path)
    if len(names) > 1:
        return _load_chain(names, options)
    network, card = load_network(names[0], restores=True, denoise_strength=options.get("denoise_strength"))
    return restorer_of_card(network, card, **options)


def members_of(name_or_path: str | Path | None) -> list[str | Path]:
    """Names and files of the networks that ``load`` takes as one text: they are joined by commas or plus signs.

    A text that is the path of a file stands for that file alone.

    Raises:
        UsageError: there is no name before or behind a comma.
    """
    if name_or_path is None:
        return [default_name()]
    if not isinstance(name_or_path, str) or _exists(name_or_path):
        return [name_or_path]
    pieces = [piece.strip() for piece in name_or_path.split(",")]
    names = [name.strip() for piece in pieces for name in ([piece] if _exists(piece) else piece.split("+"))]
    if not all(names):
        raise UsageError(f"{name_or_path!r} lacks a name: a chain is several names, such as photo,realsr_x4")
    return list(names)


def _exists(text: str) -> bool:
    return not why_refused(Path(text)) and Path(text).exists()


def _load_chain(names: Sequence[str | Path], options: dict[str, Any]) -> Chain:
    """A chain of the named networks; each gets the options that it has a use for."""
    given = options.get("denoise_strength")
    with_twin = [given is not None and card_of_source(name).denoise_strength is not None for name in names]
    if given is not None and not any(with_twin):
        raise UsageError("denoise_strength mixes two networks in one file, and no file of this chain has two: drop it")
    loaded = [
        load_network(name, restores=True, denoise_strength=given if has_twin else None)
        for name, has_twin in zip(names, with_twin, strict=True)
    ]
    own = {name: {field.name for field in fields(system.restore_options)} for name, system in SYSTEMS.items()}
    known = set().union(*(own[card.system] for _, card in loaded))
    members = []
    for network, card in loaded:
        foreign = known - own[card.system]
        suited = {key: value for key, value in options.items() if key not in foreign}
        members.append(restorer_of_card(network, card, **suited))
    return Chain(members)


def restorer_of_card(network: nn.Module, card: WeightsCard, **options: Any) -> Restorer:
    """A restorer with a network that was loaded with its card; options as ``load`` takes them.

    Weights with a weaker twin were mixed when they were loaded, so ``denoise_strength`` is that of the card.
    """
    system = SYSTEMS[card.system]
    shared, own = _typed_options(system, {**options, "denoise_strength": card.denoise_strength})
    own = system.suited_options(own, card.task, card.settings, card.gt_patch)
    return _restorer(system, network, shared, own, card.name, card.task)


def restorer_of(
    network: nn.Module, *, system: str = "diffir", name: str = "unnamed", task: str | None = None, **options: Any
) -> Restorer:
    """Make a restorer from a network in memory, which is moved to the device and set to eval mode.

    Args:
        network: a network of the system's ``restoring_part``.
        system: name of the system.
        name: name of the network in tables and messages.
        task: row of the system's table that describes the network, if there is one.
        options: the same options as for ``load``.
    """
    return _restorer(SYSTEMS[system], network, *_typed_options(SYSTEMS[system], options), name, task)


def card_of_source(name_or_path: str | Path | None) -> WeightsCard:
    """The card of the weights of that name or in that file, of a known system; without one, the tensors are read."""
    path = locate(default_name() if name_or_path is None else name_or_path)
    if is_safetensors(path) and METADATA_KEY in read_header(path).metadata:
        card = WeightsCard.from_metadata(read_header(path).metadata, str(path))
        system_of(card, SYSTEMS, str(path))
        return card
    return load_network(path)[1]


def load_network(
    source: str | Path, part: str | None = None, *, restores: bool = False, denoise_strength: float | None = None
) -> tuple[nn.Module, WeightsCard]:
    """Load a network by name or from a file, in eval mode on the CPU, and its card.

    Arguments and errors are those of ``diffir.weights.load.load_network``.
    """
    return weights_load.load_network(source, SYSTEMS, part=part, restores=restores, denoise_strength=denoise_strength)


def locate(source: str | Path) -> Path:
    """The file that a name in the catalogue stands for; a path is returned as it is."""
    return weights_load.locate(source, SYSTEMS)


def load_config(path: Path, overrides: Sequence[str] = ()) -> "RunConfig":
    """Read an option file of any system; ``diffir.config_file`` describes the format and the errors."""
    from diffir.config_file import load_config as read_options  # not needed to restore

    return read_options(path, overrides, systems=SYSTEMS)


def system_of_card(card: WeightsCard, source: str) -> System:
    """The system that a card names; ``source`` is the file that an error message mentions."""
    return system_of(card, SYSTEMS, source)


def _restorer(
    system: System, network: nn.Module, options: RestoreOptions, own: Any, name: str, task: str | None
) -> Restorer:
    device = resolve_device(options.device)
    precision = resolve_precision(system.suited_precision(network, options.precision, own), device)
    engine = system.engine(network, device, precision, own)
    return Restorer(engine, precision, options, name=name, task=task, system=system.name)


def _typed_options(system: System, options: dict[str, Any]) -> tuple[RestoreOptions, Any]:
    """Split one flat mapping into the options that all systems share and those of this system."""
    # Refuse unknown keys and suggest the nearest known one.
    shared = {field.name for field in fields(RestoreOptions)}
    own = {field.name for field in fields(system.restore_options)}
    for key in options:
        if key not in shared | own:
            raise UsageError(f"unknown option {key!r} of {system.name}; {meant(key, sorted(shared | own))}")

    # Check the values: both dataclasses do this when they are made.
    return (
        RestoreOptions(**{key: value for key, value in options.items() if key in shared}),
        system.restore_options(**{key: value for key, value in options.items() if key in own}),
    )
