"""The catalogue of all weights with a name, and where to find them.

Shipped entries are the files in ``pretrained/``; only their headers are read. Released entries are checkpoints that the
authors of a method distribute and that ``diffir convert`` reads; each system lists its own. This module does not import
torch.
"""

import difflib
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from diffir.errors import UsageError
from diffir.near_names import LIKENESS
from diffir.system import Facts, ReleasedRow, System
from diffir.weights.card import Score, WeightsCard, system_of
from diffir.weights.header import read_header

PRETRAINED = Path(__file__).parent / "pretrained"
# Names that are used without ``-n``, the most general one first.
PREFERRED_DEFAULTS = ("photo", "denoise")


@dataclass(frozen=True)
class CatalogueEntry:
    """One row of ``diffir models``."""

    name: str
    task: str | None
    facts: Facts = field(repr=False)
    summary: str
    parameters: int
    licence: str
    scores: tuple[Score, ...] = ()
    path: Path | None = None
    """Path of the shipped file; None for weights that must be downloaded."""
    size: int | None = None
    """Size of the shipped file in bytes."""
    url: str | None = None
    """Page from which weights that are not shipped can be downloaded."""
    card: WeightsCard | None = field(default=None, repr=False)
    """The whole card of a shipped file."""

    @property
    def shipped(self) -> bool:
        return self.path is not None


def catalogue(systems: Mapping[str, System], folder: Path = PRETRAINED) -> dict[str, CatalogueEntry]:
    """Return all entries by name, the shipped ones first.

    Raises:
        WeightsError: a shipped file is damaged, or ``systems`` does not contain its system.
    """
    entries = [entry_of_file(path, systems) for path in sorted(folder.glob("*.safetensors"))]
    entries += [_released_entry(row) for system in systems.values() for row in system.released_rows()]
    return {entry.name: entry for entry in entries}


def find_entry(name: str, systems: Mapping[str, System]) -> CatalogueEntry:
    """Return the entry with a name.

    Raises:
        UsageError: there is no such name; the message suggests similar names.
    """
    entries = catalogue(systems)
    if name not in entries:
        near = difflib.get_close_matches(name, entries, n=3, cutoff=LIKENESS)
        meant = f"did you mean {' or '.join(near)}? " if near else ""
        raise UsageError(f"unknown model {name!r}: {meant}diffir models lists all, --model_path takes a file")
    return entries[name]


def default_name(folder: Path = PRETRAINED) -> str:
    """Return the name used without ``-n``: the first preferred name that is shipped, else the first shipped name.

    Raises:
        UsageError: this installation contains no weights.
    """
    shipped = [path.stem for path in sorted(folder.glob("*.safetensors"))]
    for name in (*PREFERRED_DEFAULTS, *shipped):
        if name in shipped:
            return name
    raise UsageError("this installation contains no weights: give a file with --model_path")


def entry_of_file(path: Path, systems: Mapping[str, System]) -> CatalogueEntry:
    """The entry of published weights; only the header is read.

    Raises:
        WeightsError: the file has no card, or one that this version cannot read.
    """
    header = read_header(path)
    card = WeightsCard.from_metadata(header.metadata, str(path))
    return CatalogueEntry(
        name=path.stem,
        task=card.task,
        facts=system_of(card, systems, str(path)).facts(card.settings),
        summary=card.summary,
        parameters=header.parameters // (1 if card.denoise_strength is None else 2),  # of one network
        licence=card.licence,
        scores=card.scores,
        path=path,
        size=header.size,
        card=card,
    )


def _released_entry(row: ReleasedRow) -> CatalogueEntry:
    return CatalogueEntry(
        name=row.name,
        task=row.task,
        facts=row.facts,
        summary=row.summary,
        parameters=row.parameters,
        licence="see the authors' page",
        scores=tuple(Score(*score[:3], score[3], published=True) for score in row.scores),
        url=row.url,
    )
