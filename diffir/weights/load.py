"""Load a network by name or from a file.

In: a name of the catalogue, a published .safetensors file, a released checkpoint (.pth, .pt, .ckpt or .safetensors with
the authors' names) or a folder of several files that a system reads, and the table of systems. Out: the network in eval
mode, float32, on the CPU, and its card.
"""

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import torch
from torch import Tensor, nn

from diffir.errors import UsageError, WeightsError
from diffir.field_ranges import Within
from diffir.files import why_refused
from diffir.fork_guard import refuse_forked_process
from diffir.system import Released, System
from diffir.weights.card import METADATA_KEY, WeightsCard, system_of
from diffir.weights.catalogue import PRETRAINED, CatalogueEntry, catalogue, find_entry
from diffir.weights.checkpoint_file import read_checkpoint
from diffir.weights.fit import check_fit, empty_network, filled_network
from diffir.weights.header import DESCRIPTION, is_safetensors, read_header
from diffir.weights.hub import fetch, is_hub_name
from diffir.weights.published import read_published
from diffir.weights.twins import mixed, parted

SUFFIXES = (".safetensors", ".pth", ".pt", ".ckpt")


def load_network(
    source: str | Path,
    systems: Mapping[str, System],
    *,
    part: str | None = None,
    restores: bool = False,
    denoise_strength: float | None = None,
) -> tuple[nn.Module, WeightsCard]:
    """Load the network with a name or from a file, and its card.

    Args:
        part: name of the part of the system that is needed; None accepts any part.
        restores: require the part that restores photos without the ground truth.
        denoise_strength: for a file with a weaker twin: 1 loads the network that denoises most, 0 its twin, and values
            in between mix their weights. None takes the value of the card, and the card that is returned has the value
            that was taken.
    Raises:
        UsageError: there is no such name or file, the operating system cannot read it, or this process was forked
            from one that has computed (``diffir.fork_guard``).
        WeightsError: the file is damaged, or holds weights of no system in ``systems`` or of another part.
    """
    if denoise_strength is not None:
        Within(0, 1).check("denoise_strength", denoise_strength)
    refuse_forked_process(torch.device("cpu"))  # copying weights takes threads already
    path = locate(source, systems)
    try:
        network, card = _read(path, systems, denoise_strength)
    except OSError as error:
        raise UsageError(f"{path}: cannot be read ({error.strerror or error})") from error
    if denoise_strength is not None and card.denoise_strength is None:
        raise UsageError(f"denoise_strength mixes two networks, and {path} holds one: drop it")
    # A network of another part would load, but could not do what the caller needs.
    system = system_of(card, systems, str(path))
    needed = system.restoring_part if restores else part
    if needed is not None and card.part != needed:
        raise WeightsError(f"{path} is {_wrong_part(system, card.part, needed)}")
    return network, card


def network_of(
    state: Mapping[str, Tensor], card: WeightsCard, system: System, source: str, denoise_strength: float | None = None
) -> tuple[nn.Module, WeightsCard]:
    """The network with the tensors of a file and its card, which names the mix if the file has a weaker twin.

    Raises:
        WeightsError: the tensors do not fit the card; the message names ``source``.
    """
    empty = empty_network(system, card.settings, card.part, source)
    if card.denoise_strength is not None:
        strong, weak = parted(state)
        check_fit(weak, empty, card.part, f"the weaker twin in {source}")
        check_fit(strong, empty, card.part, source)
        share = card.denoise_strength if denoise_strength is None else denoise_strength
        state, card = mixed(strong, weak, share), replace(card, denoise_strength=share)
    return filled_network(state, empty, card.part, source), card


def locate(source: str | Path, systems: Mapping[str, System]) -> Path:
    """Return the file of a name of the catalogue, or the file or folder itself; raises the errors of ``load_network``.

    A file in the current folder wins over a name of the catalogue, and the name wins over a folder, because folders of
    photos are often named "photo" or "deblur"; "./photo" is always the folder. ``hf:OWNER/NAME`` is on the hub.
    """
    if is_hub_name(source):
        return fetch(str(source))
    path = Path(source)
    is_name = isinstance(source, str) and path.suffix.lower() not in SUFFIXES and path.name == source
    reason = why_refused(path)
    if is_name and (reason or not path.is_file()):
        shipped = PRETRAINED / f"{source}.safetensors"
        is_shipped = not why_refused(shipped) and shipped.is_file()
        if is_shipped:
            return shipped
        if reason or not path.is_dir() or source in catalogue(systems):
            return _shipped_path(find_entry(str(source), systems))
    if reason:
        raise UsageError(f"{path}: cannot be read ({reason})")
    if not path.is_file() and not path.is_dir():
        raise UsageError(f"no such weights file: {path}")
    return path


def _wrong_part(system: System, part: str, needed: str) -> str:
    if not {part, needed} <= set(system.stages):
        return f"the part {part} of {system.name}, and the part {needed} is needed here"
    number, other = (system.stages.index(name) + 1 for name in (part, needed))
    if needed == system.restoring_part:
        return f"a stage-{number} network ({part}), which cannot restore photos; give the stage-{other} file ({needed})"
    return f"a stage-{number} network, and stage {other} is needed here; give the file of stage {other}"


def _shipped_path(entry: CatalogueEntry) -> Path:
    if entry.path is None:
        raise WeightsError(
            f"{entry.name} is not shipped with diffir: download its checkpoint from {entry.url} and give the file or "
            "folder with --model_path (diffir convert makes it smaller)"
        )
    return entry.path


def _read(path: Path, systems: Mapping[str, System], denoise_strength: float | None) -> tuple[nn.Module, WeightsCard]:
    if is_safetensors(path) and METADATA_KEY in read_header(path).metadata:
        state, card = read_published(path)
    else:
        state = {} if path.is_dir() else read_checkpoint(path)
        if DESCRIPTION in state:  # another program saved published weights again, without their metadata
            card = WeightsCard.from_description(state.pop(DESCRIPTION).numpy().tobytes(), path.stem)
        else:
            released, system = _read_released(state, path, systems)
            state, card = released.state, _card_of(released, path, system)
            if released.network is not None:
                return released.network, card
    return network_of(state, card, system_of(card, systems, str(path)), str(path), denoise_strength)


def _read_released(state: dict[str, Tensor], path: Path, systems: Mapping[str, System]) -> tuple[Released, System]:
    """Read a foreign checkpoint with the first system that recognises its tensor names, or the layout of a folder."""
    for system in sorted(systems.values(), key=lambda system: system.is_last_resort):
        released = system.read_folder(path) if path.is_dir() else system.read_released(state, str(path))
        if released is not None:
            return released, system
    if path.is_dir():
        raise WeightsError(f"{path} is a folder in no layout that {', '.join(systems)} read: give a file of weights")
    begins = ", ".join(list(state)[:3])
    raise WeightsError(f"{path} holds a network of another kind than {', '.join(systems)}: it begins with {begins}")


def _card_of(released: Released, path: Path, system: System) -> WeightsCard:
    path = path.resolve() if path.is_dir() else path  # "." has no name
    notes = f"read from the released checkpoint {path.name}" + (f": {released.notes}" if released.notes else "")
    name = path.name if path.is_dir() else path.stem
    return WeightsCard(name, released.settings, released.part, system.name, task=released.task, notes=notes)
