"""From a name or a file to a network that is ready to run.

In: a name of the catalogue, a published .safetensors, or a released checkpoint (.pth, .pt, .ckpt, .safetensors with the
authors' names), and the table of systems. Out: the network in eval mode, float32, on the CPU, and its card.
"""

from collections.abc import Mapping
from pathlib import Path

from torch import Tensor, nn

from diffir.errors import UsageError, WeightsError
from diffir.files import why_refused
from diffir.system import System
from diffir.weights.card import METADATA_KEY, WeightsCard, system_of
from diffir.weights.catalogue import PRETRAINED, CatalogueEntry, find_entry
from diffir.weights.checkpoint_file import read_checkpoint
from diffir.weights.fit import empty_network, filled_network
from diffir.weights.header import is_safetensors, read_header
from diffir.weights.published import read_published

SUFFIXES = (".safetensors", ".pth", ".pt", ".ckpt")


def load_network(
    source: str | Path, systems: Mapping[str, System], *, part: str | None = None, restores: bool = False
) -> tuple[nn.Module, WeightsCard]:
    """The network of that name or in that file.

    Args:
        part: the part of its system that is needed; None takes any.
        restores: whether it must be the part that restores photos without their clean image.
    Raises:
        UsageError: no such name or file, or one that the system refuses.
        WeightsError: the file holds no weights of these systems or of another part, or is damaged.
    """
    path = locate(source, systems)
    try:
        network, card = _read(path, systems)
    except OSError as error:
        raise UsageError(f"{path}: cannot be read ({error.strerror or error})") from error
    system = system_of(card, systems, str(path))
    needed = system.restoring_part if restores else part
    if needed is not None and card.part != needed:
        raise WeightsError(f"{path} is {_wrong_part(system, card.part, needed)}")
    return network, card


def locate(source: str | Path, systems: Mapping[str, System]) -> Path:
    """The file of that name of the catalogue, or the file itself; raises as ``load_network`` if there is none."""
    path = Path(source)
    is_name = isinstance(source, str) and path.suffix.lower() not in SUFFIXES and path.name == source
    reason = why_refused(path)
    if is_name and (reason or not path.is_file()):
        shipped = PRETRAINED / f"{source}.safetensors"
        return shipped if shipped.is_file() else _shipped_path(find_entry(str(source), systems))
    if reason:
        raise UsageError(f"{path}: cannot be read ({reason})")
    if not path.is_file():
        raise UsageError(f"no such weights file: {path}")
    return path


def _wrong_part(system: System, part: str, needed: str) -> str:
    number, other = (system.stages.index(name) + 1 for name in (part, needed))
    if needed == system.restoring_part:
        return (
            f"a stage-{number} network: it needs the clean image as a second input and cannot restore; give the "
            f"stage-{other} file"
        )
    return f"a stage-{number} network, and stage {other} is needed here; give the file of stage {other}"


def _shipped_path(entry: CatalogueEntry) -> Path:
    if entry.path is None:
        raise WeightsError(
            f"{entry.name} does not ship with diffir: download its checkpoint from {entry.url} and give the file "
            "with --model_path (diffir convert makes it smaller)"
        )
    return entry.path


def _read(path: Path, systems: Mapping[str, System]) -> tuple[nn.Module, WeightsCard]:
    if is_safetensors(path) and METADATA_KEY in read_header(path).metadata:
        state, card = read_published(path)
    else:
        state, card = _read_released(path, systems)
    empty = empty_network(system_of(card, systems, str(path)), card.settings, card.part, str(path))
    return filled_network(state, empty, card.part, str(path)), card


def _read_released(path: Path, systems: Mapping[str, System]) -> tuple[dict[str, Tensor], WeightsCard]:
    """The first system that recognises the names in the checkpoint decides what it is."""
    state = read_checkpoint(path)
    for system in systems.values():
        released = system.read_released(state, str(path))
        if released is not None:
            notes = f"read from the released checkpoint {path.name}"
            card = WeightsCard(
                path.stem, released.settings, released.part, system.name, task=released.task, notes=notes
            )
            return released.state, card
    begins = ", ".join(list(state)[:3])
    raise WeightsError(f"{path} holds another network, none of {', '.join(systems)}: it begins with {begins}")
