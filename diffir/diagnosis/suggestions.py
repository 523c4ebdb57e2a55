"""The table of suggestions: which networks help against which faults, each row with the measurement behind it.

In: a diagnosis, and the names of the networks that there are. Out: suggestions, best first. A row whose networks
do not all ship is left out, so a row may wait here for its network. Scores are those of ``tools/measure_diagnosis.py
gains`` on photos that no network has learnt from, and of ``docs/networks.md``.
"""

from collections.abc import Collection
from dataclasses import dataclass
from typing import Any

from diffir.diagnosis.findings import Diagnosis, Fault

TONES: frozenset[Fault] = frozenset({"dark", "backlit", "hazy", "faded"})
_QUALITY_TO_ENLARGE = 90  # of a JPEG below which networks for clean pictures enlarge its rings, too; a matter of taste


@dataclass(frozen=True)
class Row:
    """One row of the table; the first one that fits a photo is the best."""

    faults: frozenset[Fault]
    """All of these must have been found; if there are none, the photo must have no fault."""
    networks: tuple[str, ...]
    """They restore one after the other."""
    reason: str
    """What was measured."""
    enlarges: bool = False
    """True if the result is larger than the photo."""

    def fits(self, found: frozenset[Fault]) -> bool:
        """Return whether the row is for a photo with these faults."""
        return self.faults <= found if self.faults else not found


@dataclass(frozen=True)
class Suggestion:
    """A network, or a chain of several, that should help; without networks, to leave the photo as it is."""

    networks: tuple[str, ...]
    reason: str
    enlarges: bool = False

    @property
    def name(self) -> str:
        """What ``-n`` takes; empty if the photo should be left as it is."""
        return ",".join(self.networks)


LEAVE = Suggestion((), "leave it as it is")
NO_NETWORK = Suggestion((), "leave it as it is, since no network that ships was measured to help")


def _row(faults: str, networks: str, reason: str, **more: Any) -> Row:
    """A row with its faults joined by " + " and its networks by commas."""
    names: Any = frozenset(filter(None, faults.split(" + ")))
    return Row(names, tuple(networks.split(",")), reason, **more)


# The figures are those of docs/which-network.md. photo leaves softness alone mostly as it is, so it is not named there.
ROWS = (
    _row("dark", "lowlight", "two stops too dark: 12.9 -> 26.4 dB"),
    _row("dark", "enhance", "two stops too dark: 12.9 -> 24.4 dB; ahead on the very dark photos of LOL"),
    _row("hazy", "enhance", "recipe haze: 13.9 -> 21.7 dB; dense haze becomes dark: add --strength 0.5"),
    _row("faded", "old", "fading: 19.9 -> 25.3 dB; removes grain, dust and fine cracks of prints, too"),
    _row("faded", "enhance", "fading: 19.9 -> 24.0 dB; keeps grain"),
    _row("noise + JPEG", "photo", "treats both at once; noise and JPEG of quality 60: 27.3 -> 30.4 dB"),
    _row("noise + soft", "photo", "treats both at once; blur and noise: 25.6 -> 28.6 dB"),
    _row("JPEG + soft", "jpeg,deblur", "blur and JPEG of quality 50: 25.8 -> 27.8 dB"),
    _row("JPEG + soft", "photo", "treats both at once; blur and JPEG of quality 50: 25.8 -> 27.2 dB"),
    _row("noise", "denoise", "noise of sigma 25: 20.7 -> 30.6 dB"),
    _row("JPEG", "jpeg", "JPEG of quality 50: 30.4 -> 32.3 dB"),
    _row("soft", "deblur", "blur of sigma 1.5: 26.7 -> 30.7 dB"),
    # A dark subject may be meant so, and noise and JPEG are surer findings, which therefore come first.
    _row("backlit", "enhance", "recipe backlight: 16.5 -> 24.0 dB"),
    _row("backlit", "lowlight", "recipe backlight: 16.5 -> 23.3 dB; changes colours less"),
    _row("noise", "photo", "the default; noise of sigma 25: 20.7 -> 30.1 dB"),
    _row("JPEG", "photo", "the default; JPEG of quality 50: 30.4 -> 31.6 dB"),
    _row("strong noise", "photo,realsr_x4", "removes strong noise before it enlarges", enlarges=True),
    *(
        row
        for fault in ("noise", "JPEG", "soft")
        for row in (
            _row(fault, "realesrgan_general_x4", "for small damaged photos; draws texture", enlarges=True),
            _row(fault, "realsr_x4", "for small damaged photos; draws nothing, stays flat", enlarges=True),
        )
    ),
    _row("", "sr_x4", "for clean pictures: Set5 28.4 -> 31.5 dB", enlarges=True),
)


def suggest(diagnosis: Diagnosis, available: Collection[str], *, enlarges: bool = False) -> list[Suggestion]:
    """Choose networks for a photo, the best one first; there is always one suggestion at least.

    Args:
        available: names of the networks that there are.
        enlarges: the result shall be larger than the photo. Its tones are then of no account.
    """
    faults, quality = diagnosis.faults, diagnosis.figures.jpeg_quality
    if enlarges:
        faults -= TONES
        if quality is not None and quality < _QUALITY_TO_ENLARGE:
            faults |= {"JPEG"}
    chosen: dict[tuple[str, ...], Suggestion] = {}
    for row in ROWS:
        if row.enlarges == enlarges and row.fits(faults) and set(row.networks) <= set(available):
            chosen.setdefault(row.networks, Suggestion(row.networks, row.reason, row.enlarges))
    return list(chosen.values()) or [NO_NETWORK if diagnosis.findings else LEAVE]


def named_networks() -> set[str]:
    """All names in the table, of networks that may not ship."""
    return {name for row in ROWS for name in row.networks}
