"""Names of photos: what joins a damaged photo with its clean partner, and how a message names many of them.

In: names inside a source or a set, such as ``a/b.png``. Out: stems, partners, and errors that name who has none.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from diffir.errors import PairingError

NAMES_SHOWN = 5  # names an error lists


def stem_of(name: str) -> str:
    """``a/b.png`` -> ``a/b``; a name without the suffix of an image stays."""
    folder, slash, last = name.rpartition("/")
    return folder + slash + Path(last).stem


def by_stem(names: Iterable[str]) -> dict[str, str]:
    """Name without suffix -> name.

    Raises:
        PairingError: two names that differ in their suffix only.
    """
    found, twins = _first_by_stem(names)
    if twins:
        raise _twins_error(twins)
    return found


@dataclass(frozen=True)
class Joined:
    """What names say of clean photos and their damaged partners, right and wrong."""

    partner_of: dict[str, str]
    """Clean name -> damaged name, of the pairs there are."""
    lonely: tuple[str, ...]
    """Clean photos without a damaged partner."""
    unused: tuple[str, ...]
    """Damaged photos that nobody asks for."""
    twins: tuple[tuple[str, str], ...]
    """Damaged photos that differ in their suffix only; the first of two is the partner."""


def join_partners(clean: Sequence[str], damaged: Sequence[str], template: str) -> Joined:
    """Same folder, same stem but for the template, in which {} stands for the clean photo's stem."""
    stems, twins = _first_by_stem(damaged)
    found = {}
    for name in clean:
        folder, slash, last = stem_of(name).rpartition("/")
        partner = stems.get(folder + slash + template.replace("{}", last))
        if partner is not None:
            found[name] = partner
    lonely = tuple(name for name in clean if name not in found)
    unused = sorted(set(damaged) - set(found.values()) - {second for _, second in twins})
    return Joined(found, lonely, tuple(unused), tuple(twins))


def partners(clean: Sequence[str], damaged: Sequence[str], template: str, *, all_used: bool) -> dict[str, str]:
    """Clean name -> name of its damaged partner, where all of them have one.

    Args:
        template: see ``join_partners``.
        all_used: refuse damaged photos that nobody asks for; off where a list chose some of many.

    Raises:
        PairingError: a photo without partner, or two of one name; the message names the first ones.
    """
    joined = join_partners(clean, damaged, template)
    if joined.twins:
        raise _twins_error(joined.twins)
    for names, kind, missing in ((joined.lonely, "clean", "damaged"), (joined.unused, "damaged", "clean")):
        if names and (all_used or names is joined.lonely):
            many = counted(len(names), f"{kind} photo")
            raise PairingError(f"{many} without a {missing} partner: {shortened(names)}")
    return joined.partner_of


def matched_ids(left: Iterable[str], right: Iterable[str], left_name: str, right_name: str) -> list[str]:
    """The ids, sorted, if both sides hold the same ones.

    Raises:
        PairingError: a partner is missing on either side; the message names the images.
    """
    left, right = set(left), set(right)
    complaints = [
        f"{len(lonely)} without {partner}: {shortened(sorted(lonely))}"
        for lonely, partner in ((left - right, right_name), (right - left, left_name))
        if lonely
    ]
    if complaints:
        raise PairingError(f"{left_name} and {right_name} do not match one to one; {'; '.join(complaints)}")
    return sorted(left)


def shortened(names: Sequence[str]) -> str:
    """The first names and how many more there are."""
    more = f" and {len(names) - NAMES_SHOWN} more" if len(names) > NAMES_SHOWN else ""
    return ", ".join(names[:NAMES_SHOWN]) + more


def counted(number: int, noun: str) -> str:
    """``1 pair``, ``2 pairs``."""
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"


def _first_by_stem(names: Iterable[str]) -> tuple[dict[str, str], list[tuple[str, str]]]:
    """Name without suffix -> the first name that has it, and that one with each other one."""
    found: dict[str, str] = {}
    pairs = [(found.setdefault(stem_of(name), name), name) for name in names]
    return found, [(first, name) for first, name in pairs if first != name]


def _twins_error(twins: Sequence[tuple[str, str]]) -> PairingError:
    return PairingError(f"two photos of one name: {' and '.join(twins[0])}; keep one")
