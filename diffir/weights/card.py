"""The card in the header of published weights: which network they are for, their training and their scores.

In and out: a frozen dataclass, and the metadata of a safetensors file, which maps strings to strings (JSON under the
key "diffir"). This module does not import torch, so ``diffir models`` starts quickly.
"""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields, replace
from typing import Annotated, Any

from diffir._version import __version__
from diffir.errors import ConfigError, WeightsError
from diffir.field_ranges import Within, check_fields
from diffir.near_names import meant
from diffir.system import System
from diffir.typed_mapping import build
from diffir.weights.header import DESCRIPTION

METADATA_KEY = "diffir"
_PARTS_BY_NUMBER = {1: "prior", 2: "diffusion"}  # cards of version 0.1 are for DiffIR and have a stage number


@dataclass(frozen=True)
class Score:
    """One benchmark score, with the conventions needed to compare it with others."""

    dataset: str
    metric: str
    value: float
    protocol: str = ""
    """Colour space and cropped border, as the text of ``metrics.protocol.Protocol``."""
    condition: str = ""
    """Degradation of the clean images, such as "sigma 25"."""
    published: bool = False
    """True for scores quoted from a paper, False for scores measured with diffir."""

    def __str__(self) -> str:
        digits = 2 if self.metric.lower() == "psnr" else 4
        unit = " dB" if self.metric.lower() == "psnr" else ""
        where = " ".join(filter(None, (self.dataset, self.condition)))
        how = ", ".join(filter(None, (self.protocol, "published" if self.published else "")))
        return f"{where}: {self.metric.upper()} {self.value:.{digits}f}{unit}" + (f" ({how})" if how else "")


@dataclass(frozen=True)
class WeightsCard:
    """Description of one set of weights."""

    name: str
    """Name of the weights for the flag ``-n``."""
    settings: dict[str, Any]
    """Network settings in plain types; the system checks them."""
    part: str
    """Name of the system's part that these weights are for."""
    system: str = "diffir"
    task: str | None = None
    """Row of the system's table of networks; None for a network that is in no row."""
    summary: str = ""
    """One line of description for ``diffir models``."""
    training: str | dict[str, Any] = ""
    """The training protocol: a sentence, or a mapping of names to plain values."""
    data: str = ""
    """Description of the training images."""
    scores: tuple[Score, ...] = ()
    headline: str = ""
    """Set and condition of the score that stands for the weights, such as "cbsd68 sigma 25"; see ``headline_score``."""
    denoise_strength: Annotated[float | None, Within(0, 1)] = None
    """For a file with a weaker twin (``weights.twins``): the share of the network that denoises most, from 0 to 1, that
    is used where no other is asked for. None for a file with one network."""
    licence: str = ""
    notes: str = ""
    """Origin and known weaknesses of the weights."""
    diffir_version: str = __version__

    def __post_init__(self) -> None:
        check_fields(self)

    @property
    def headline_score(self) -> Score | None:
        """The score that stands for the weights; None if there is none.

        It is the first one that ``headline`` names. A card without a headline means a condition that has the name of
        the weights, else one that is not the recipe of other weights, so that no network is judged by another's task.
        """
        named = [score for score in self.scores if f"{score.dataset} {score.condition}".strip() == self.headline]
        own = [score for score in self.scores if self.name and self.name.lower() in score.condition.lower()]
        neutral = [score for score in self.scores if not score.condition.startswith("recipe ")]
        return next(iter((*named, *own, *neutral, *self.scores)), None)

    @property
    def gt_patch(self) -> int | None:
        """Side of the last training patches, in pixels of the ground truth; None if the card does not contain it."""
        # Stages with progressive patches end with the last of their sizes; the last stage counts.
        facts = self.training if isinstance(self.training, dict) else {}
        sections = [facts.get(stage) for stage in reversed(facts.get("stages", []))]
        sections += [facts.get(key) for key in ("stage3", "stage2")]  # cards of version 0.1
        progressive = [section.get("gt_sizes") for section in sections if isinstance(section, dict)]
        side = next((sizes[-1] for sizes in progressive if isinstance(sizes, list) and sizes), None)
        # Otherwise all patches have the size of the training set.
        train_set = facts.get("train_set")
        if side is None and isinstance(train_set, dict):
            side = train_set.get("gt_size")
        return side if isinstance(side, int) and side > 0 else None

    def to_metadata(self) -> dict[str, str]:
        """Return the card as the metadata of a safetensors file."""
        values = {field.name: getattr(self, field.name) for field in fields(self)}
        values["scores"] = [asdict(score) for score in self.scores]
        # A name may hold bytes that are no UTF-8, which JSON has an escape for.
        text = json.dumps(values, ensure_ascii=False).encode("utf-8", "backslashreplace").decode()
        return {"format": "pt", METADATA_KEY: text}

    def to_description(self) -> bytes:
        """Return the fields that decide a result as JSON, for programs that see tensors and no metadata."""
        facts = {name: getattr(self, name) for name in ("system", "part", "task", "settings", "gt_patch")}
        if self.denoise_strength is not None:
            facts["denoise_strength"] = self.denoise_strength
        return json.dumps(facts, sort_keys=True).encode()

    @classmethod
    def from_description(cls, description: bytes, name: str) -> "WeightsCard":
        """Make a card from bytes of ``to_description``; ``name`` is that of the weights.

        Raises:
            WeightsError: this version cannot read them.
        """
        try:
            facts = json.loads(description)
            patch = facts.pop("gt_patch")
            training = {"train_set": {"gt_size": patch}} if patch else ""
            return replace(build(cls, {"name": name, **facts}, "card"), training=training)
        except (ValueError, TypeError, AttributeError, LookupError, RecursionError, ConfigError) as error:
            raise WeightsError(f"the tensor {DESCRIPTION} of {name} cannot be read ({error})") from error

    @classmethod
    def from_metadata(cls, metadata: Mapping[str, str], source: str) -> "WeightsCard":
        """Read the card from metadata written by ``to_metadata``; messages name the file ``source``.

        Raises:
            WeightsError: there is no card, or this version cannot read it.
        """
        if METADATA_KEY not in metadata:
            raise WeightsError(
                f"{source} has no diffir card in its header: not published by diffir; try diffir convert"
            )
        try:
            # Read the values; the training protocol may be of two types, which ``build`` does not support.
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
    """Return the system of a card; the message names the file ``source``.

    Raises:
        WeightsError: ``systems`` does not contain the system.
    """
    if card.system not in systems:
        raise WeightsError(f"{source} is of the system {card.system!r}; {meant(card.system, systems)}")
    return systems[card.system]
