"""Pair degraded photos with their clean partners by name, and list photo names in messages.

In: names relative to a source, such as ``a/b.png``. Out: stems, partners, and errors that name the photos without one.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from diffir.errors import PairingError

NAMES_SHOWN = 5  # largest number of names in an error message


def stem_of(name: str) -> str:
    """The name without its suffix: ``a/b.png`` -> ``a/b``."""
    folder, slash, last = name.rpartition("/")
    return folder + slash + Path(last).stem


def by_stem(names: Iterable[str]) -> dict[str, str]:
    """Mapping from the name without suffix to the name.

    Raises:
        PairingError: two names differ in their suffix only.
    """
    found, twins = _first_by_stem(names)
    if twins:
        raise _twins_error(twins)
    return found


@dataclass(frozen=True)
class Joined:
    """The result of pairing clean and degraded photos by name, with everything that does not match."""

    partner_of: dict[str, str]
    """Clean name -> name of its degraded partner."""
    unpaired: tuple[str, ...]
    """Clean photos without a degraded partner."""
    unused: tuple[str, ...]
    """Degraded photos without a clean partner."""
    twins: tuple[tuple[str, str], ...]
    """Pairs of degraded photos that differ in their suffix only; the first of two is the partner."""


def join_partners(clean: Sequence[str], degraded: Sequence[str], template: str) -> Joined:
    """Pair photos of the same folder; {} in the template stands for the stem of the clean photo."""
    stems, twins = _first_by_stem(degraded)
    found = {}
    for name in clean:
        folder, slash, last = stem_of(name).rpartition("/")
        partner = stems.get(folder + slash + template.replace("{}", last))
        if partner is not None:
            found[name] = partner
    unpaired = tuple(name for name in clean if name not in found)
    unused = sorted(set(degraded) - set(found.values()) - {second for _, second in twins})
    return Joined(found, unpaired, tuple(unused), tuple(twins))


def partners(clean: Sequence[str], degraded: Sequence[str], template: str, *, all_used: bool) -> dict[str, str]:
    """Mapping from each clean name to the name of its degraded partner.

    Args:
        template: see ``join_partners``.
        all_used: refuse degraded photos without a clean partner; False if a list selects some of the clean photos.

    Raises:
        PairingError: a photo has no partner, or two have one name; the message names the first ones.
    """
    joined = join_partners(clean, degraded, template)
    if joined.twins:
        raise _twins_error(joined.twins)
    for names, kind, missing in ((joined.unpaired, "clean", "degraded"), (joined.unused, "degraded", "clean")):
        if names and (all_used or names is joined.unpaired):
            many = counted(len(names), f"{kind} photo")
            raise PairingError(f"{many} without a {missing} partner: {shortened(names)}")
    return joined.partner_of


def matched_ids(left: Iterable[str], right: Iterable[str], left_name: str, right_name: str) -> list[str]:
    """The sorted ids, if both sides hold the same ones.

    Raises:
        PairingError: a partner is missing on either side; the message names the images.
    """
    left, right = set(left), set(right)
    complaints = [
        f"{len(unpaired)} without {partner}: {shortened(sorted(unpaired))}"
        for unpaired, partner in ((left - right, right_name), (right - left, left_name))
        if unpaired
    ]
    if complaints:
        raise PairingError(f"{left_name} and {right_name} do not match one to one; {'; '.join(complaints)}")
    return sorted(left)


def shortened(names: Sequence[str]) -> str:
    """The first names, and the number of further names."""
    more = f" and {len(names) - NAMES_SHOWN} more" if len(names) > NAMES_SHOWN else ""
    return ", ".join(names[:NAMES_SHOWN]) + more


def counted(number: int, noun: str) -> str:
    """A number with its noun in singular or plural: ``1 pair``, ``2 pairs``."""
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"


def _first_by_stem(names: Iterable[str]) -> tuple[dict[str, str], list[tuple[str, str]]]:
    """Mapping from stems to their first name, and a list of (first name, other name) that share a stem."""
    found: dict[str, str] = {}
    pairs = [(found.setdefault(stem_of(name), name), name) for name in names]
    return found, [(first, name) for first, name in pairs if first != name]


def _twins_error(twins: Sequence[tuple[str, str]]) -> PairingError:
    return PairingError(f"two photos of one name: {' and '.join(twins[0])}; keep one")
