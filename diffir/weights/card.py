"""The card that travels in the header of published weights: what they are, how they were trained, what they score.

In and out: a frozen dataclass, and the string-to-string metadata of a safetensors file (one JSON under the key
"diffir"). Needs no torch, so that ``diffir models`` answers at once.
"""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields, replace
from typing import Any

from diffir._version import __version__
from diffir.errors import ConfigError, WeightsError
from diffir.near_names import meant
from diffir.system import System
from diffir.typed_mapping import build

METADATA_KEY = "diffir"
_PARTS_BY_NUMBER = {1: "prior", 2: "diffusion"}  # cards of version 0.1 are DiffIR's and number their stages


@dataclass(frozen=True)
class Score:
    """One number of a benchmark, with what it needs to be compared."""

    dataset: str
    metric: str
    value: float
    protocol: str = ""
    """Colour space and border, as ``str(metrics.protocol.Protocol)`` says it."""
    condition: str = ""
    """What was done to the clean images, such as "sigma 25"."""
    published: bool = False
    """Quoted from the paper, not measured by diffir."""

    def __str__(self) -> str:
        digits = 2 if self.metric.lower() == "psnr" else 4
        unit = " dB" if self.metric.lower() == "psnr" else ""
        where = " ".join(filter(None, (self.dataset, self.condition)))
        how = ", ".join(filter(None, (self.protocol, "published" if self.published else "")))
        return f"{where}: {self.metric.upper()} {self.value:.{digits}f}{unit}" + (f" ({how})" if how else "")


@dataclass(frozen=True)
class WeightsCard:
    """Facts of one set of weights."""

    name: str
    """The name that ``-n`` takes."""
    settings: dict[str, Any]
    """Network settings in plain types; the system types them."""
    part: str
    """Which part of the system these weights are."""
    system: str = "diffir"
    task: str | None = None
    """Row of the system's table; None for a network that no row describes."""
    summary: str = ""
    """One line for ``diffir models``."""
    training: str | dict[str, Any] = ""
    """The training protocol: a sentence, or names and plain values."""
    data: str = ""
    """Images it was trained on."""
    scores: tuple[Score, ...] = ()
    licence: str = ""
    notes: str = ""
    """Where it comes from, what it is bad at."""
    diffir_version: str = __version__

    @property
    def gt_patch(self) -> int | None:
        """Side in pixels of the ground truth of the last training patches; None where the card does not say."""
        facts = self.training if isinstance(self.training, dict) else {}
        sections = [facts.get(stage) for stage in reversed(facts.get("stages", []))]
        sections += [facts.get(key) for key in ("stage3", "stage2")]  # cards of version 0.1
        progressive = [section.get("gt_sizes") for section in sections if isinstance(section, dict)]
        side = next((sizes[-1] for sizes in progressive if isinstance(sizes, list) and sizes), None)
        train_set = facts.get("train_set")
        if side is None and isinstance(train_set, dict):
            side = train_set.get("gt_size")
        return side if isinstance(side, int) and side > 0 else None

    def to_metadata(self) -> dict[str, str]:
        """Metadata of a safetensors file."""
        values = {field.name: getattr(self, field.name) for field in fields(self)}
        values["scores"] = [asdict(score) for score in self.scores]
        return {"format": "pt", METADATA_KEY: json.dumps(values, ensure_ascii=False)}

    @classmethod
    def from_metadata(cls, metadata: Mapping[str, str], source: str) -> "WeightsCard":
        """Inverse of ``to_metadata``; ``source`` is the file's name, for messages.

        Raises:
            WeightsError: no card, or one that this version cannot read.
        """
        if METADATA_KEY not in metadata:
            raise WeightsError(
                f"{source} has no diffir card in its header: not published by diffir; try diffir convert"
            )
        try:
            values = json.loads(metadata[METADATA_KEY])
            if "stage" in values:
                values["part"] = _PARTS_BY_NUMBER.get(values.pop("stage"), "")
            training = values.pop("training", "")
            if not isinstance(training, str | dict):
                raise ConfigError(f"training: expected a sentence or names and values, got {training!r}")
            return replace(build(cls, values, "card"), training=training)
        except (ValueError, TypeError, AttributeError, RecursionError, ConfigError) as error:
            raise WeightsError(
                f"{source} has a card that diffir {__version__} cannot read ({error}): a newer diffir may have made it"
            ) from error


def system_of(card: WeightsCard, systems: Mapping[str, System], source: str) -> System:
    """The system of a card; ``source`` is the name of its file, for the message.

    Raises:
        WeightsError: it is not in the table.
    """
    if card.system not in systems:
        raise WeightsError(f"{source} is of the system {card.system!r}; {meant(card.system, systems)}")
    return systems[card.system]
