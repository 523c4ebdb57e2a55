"""From a name or a file to a network that is ready to run.

In: a name of the catalogue, a published .safetensors, or a released checkpoint (.pth, .pt, .ckpt, .safetensors with
upstream's names). Out: the network in eval mode, float32, on the CPU, and its card.
"""

from pathlib import Path

from diffir.errors import UsageError, WeightsError
from diffir.files import why_refused
from diffir.systems.diffir import DiffIR
from diffir.systems.diffir.fit import filled_network
from diffir.systems.diffir.released import read_official
from diffir.weights.card import METADATA_KEY, WeightsCard
from diffir.weights.catalogue import CatalogueEntry, find_entry
from diffir.weights.checkpoint_file import read_checkpoint
from diffir.weights.header import is_safetensors, read_header
from diffir.weights.published import read_published

SUFFIXES = (".safetensors", ".pth", ".pt", ".ckpt")
_WRONG_STAGE = {
    1: "a stage-1 network: it needs the clean image as a second input and cannot restore; give the stage-2 file",
    2: "a stage-2 network, and stage 1 is needed here; give the file of stage 1",
}


def load_network(source: str | Path, *, stage: int | None = 2) -> tuple[DiffIR, WeightsCard]:
    """The network of that name or in that file.

    Args:
        stage: the stage that is needed; None takes any.
    Raises:
        UsageError: no such name or file, or one that the system refuses.
        WeightsError: the file is not weights of a DiffIR network of that stage, or is damaged.
    """
    path = locate(source)
    try:
        network, card = _read(path)
    except OSError as error:
        raise UsageError(f"{path}: cannot be read ({error.strerror or error})") from error
    if stage is not None and card.stage != stage:
        raise WeightsError(f"{path} is {_WRONG_STAGE[card.stage]}")
    return network, card


def locate(source: str | Path) -> Path:
    """The file of that name of the catalogue, or the file itself; raises as ``load_network`` for what is not here."""
    path = Path(source)
    is_name = isinstance(source, str) and path.suffix.lower() not in SUFFIXES and path.name == source
    reason = why_refused(path)
    if is_name and (reason or not path.is_file()):
        return _shipped_path(find_entry(str(source)))
    if reason:
        raise UsageError(f"{path}: cannot be read ({reason})")
    if not path.is_file():
        raise UsageError(f"no such weights file: {path}")
    return path


def _shipped_path(entry: CatalogueEntry) -> Path:
    if entry.path is None:
        raise WeightsError(
            f"{entry.name} does not ship with diffir: download its checkpoint from {entry.url} and give the file "
            "with --model_path (diffir convert makes it smaller)"
        )
    return entry.path


def _read(path: Path) -> tuple[DiffIR, WeightsCard]:
    if is_safetensors(path) and METADATA_KEY in read_header(path).metadata:
        state, card = read_published(path)
    else:
        official = read_official(read_checkpoint(path), str(path))
        state = official.state
        card = WeightsCard(
            name=path.stem,
            settings=official.settings,
            stage=official.stage,
            task=next(iter(official.tasks), None),
            notes=f"read from the released checkpoint {path.name}",
        )
    return filled_network(state, card.settings, card.stage, str(path)), card
