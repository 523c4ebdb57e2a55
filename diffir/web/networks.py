"""The networks that a visitor can choose from: those that ship, by what is wrong with a photo, and their cards.

In: the table of systems. Out: choices with a label, a picture and the figures of the card, and restorers, of which the
latest ones stay loaded.
"""

import threading
from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from diffir.api import load
from diffir.batch.look import look_at
from diffir.diagnosis import Diagnosis, Suggestion, suggest
from diffir.photo_restorer import Restorer
from diffir.report.markup import Html, tag
from diffir.system import System
from diffir.weights.catalogue import CatalogueEntry, catalogue, default_name

PICTURES = Path(__file__).parent / "pictures"
"""Pictures of 2:1 by network: a part of a photo before and after it; ``tools/web_pictures.py`` draws them."""
_KEPT = 3  # restorers that stay loaded; a network takes 10 to 100 MB
# What is wrong with a photo in the words of people, where the summary of a card speaks of methods; a matter of taste.
_WORDS = {
    "photo": "A bit of everything: soft, noisy, saved as JPEG",
    "denoise": "Noise and grain",
    "jpeg": "Blocks and rings of JPEG",
    "deblur": "Shaken or out of focus",
    "derain": "Rain",
    "enhance": "Too dark, hazy, faded, of a wrong colour",
    "lowlight": "Too dark: taken in too little light, or against the light",
    "old": "An old print: faded, brown, cracked, dusty",
    "inpaint": "Scratches, text, holes: paint over them",
    "sr_x2": "Too small, but clean: 2 times larger",
    "sr_x4": "Too small, but clean: 4 times larger",
    "ldm_sr_x4": "Too small, but clean: 4 times larger with drawn detail",
    "realsr_x4": "Small, noisy or compressed: 4 times larger, smooth",
    "realesrgan_general_x4": "Small, noisy or compressed: 4 times larger, with texture",
}


@dataclass(frozen=True)
class Choice:
    """One network of the list."""

    name: str
    label: str
    """What is wrong with a photo that the network is for."""
    system: str
    scale: int
    has_mask: bool
    has_twin: bool
    """True if ``denoise_strength`` says how much noise is removed."""
    picture: Path | None
    """A part of a photo, before on the left and after on the right; None for networks of other packages."""
    headline: str
    """Measured score that stands for the network."""
    notes: str
    """Limits and origin, from the card."""

    @classmethod
    def of(cls, entry: CatalogueEntry) -> "Choice":
        """Describe a shipped network by its card."""
        card = entry.card
        assert card is not None
        picture = PICTURES / f"{entry.name}.jpg"
        label = _WORDS.get(entry.name) or entry.summary.removesuffix(", for CPUs")
        return cls(
            name=entry.name,
            label=label[:1].upper() + label[1:],
            system=card.system,
            scale=entry.facts.scale,
            has_mask=entry.facts.has_mask,
            has_twin=card.denoise_strength is not None,
            picture=picture if picture.is_file() else None,
            headline=str(card.headline_score or ""),
            notes=card.notes,
        )

    def as_html(self, picture: str | None) -> Html:
        """The card of the network as markup; ``picture`` is the address of its picture."""
        before_after = f"{self.label}: before on the left, after on the right"
        measured = tag("p", f"Measured: {self.headline}.") if self.headline else None
        about = tag(
            "details", tag("summary", f"What {self.name} does, and what it does not"), measured, tag("p", self.notes)
        )
        return tag("div", tag("img", src=picture, alt=before_after) if picture else None, about, class_="card")


class Networks:
    """The choices, and the restorers of those that were used last."""

    def __init__(self, systems: Mapping[str, System], *, device: str, precision: str) -> None:
        """
        Args:
            device, precision: what all restorers run with.
        """
        shipped = {name: Choice.of(entry) for name, entry in catalogue(systems).items() if entry.shipped}
        self.default = default_name()
        order = sorted(shipped.values(), key=lambda one: _place(one, self.default))
        self.choices = {one.name: one for one in order}
        self.systems = {one.system: systems[one.system] for one in order}
        self._machine = {"device": device, "precision": precision}
        self._lock = threading.Lock()
        self._loaded: OrderedDict[tuple[Any, ...], Restorer] = OrderedDict()

    def restorer(self, name: str, options: Mapping[str, Any] | None = None) -> Restorer:
        """A restorer with these options, loaded if it was not used lately.

        Raises:
            UsageError: there is no such network or option, or a value is not allowed.
        """
        key = (name, *sorted((options or {}).items()))
        with self._lock:
            if key not in self._loaded:
                self._loaded[key] = load(name, **self._machine, **(options or {}))
                while len(self._loaded) > _KEPT:
                    self._loaded.popitem(last=False)
            self._loaded.move_to_end(key)
            return self._loaded[key]

    def has_prior(self, name: str) -> bool:
        """Return whether a network estimates a prior of each photo, which can be saved and given to others."""
        return self.restorer(name).engine.has_prior

    def suggestions(self, path: Path, *, max_pixels: int) -> tuple[Diagnosis, list[Suggestion]]:
        """Say what seems wrong with a photo, and which networks of the list should help, the best one first."""
        diagnosis, _ = look_at(path, max_pixels=max_pixels)
        found = [*suggest(diagnosis, self.choices), *suggest(diagnosis, self.choices, enlarges=True)]
        return diagnosis, [one for one in found if len(one.networks) < 2]


def _place(one: Choice, default: str) -> tuple[Any, ...]:
    """The default comes first, then what keeps the size, then what needs a mask, then what enlarges."""
    known = list(_WORDS)
    return one.name != default, one.scale, one.has_mask, known.index(one.name) if one.name in known else len(known)
