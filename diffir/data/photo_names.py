"""Names of photos: what joins a damaged photo with its clean partner, and how a message names many of them.

In: names inside a source or a set, such as ``a/b.png``. Out: stems, partners, and errors that name who has none.
"""

from collections.abc import Iterable, Sequence
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
    found: dict[str, str] = {}
    for name in names:
        stem = stem_of(name)
        if stem in found:
            raise PairingError(f"two photos of one name: {found[stem]} and {name}; keep one")
        found[stem] = name
    return found


def partners(clean: Sequence[str], damaged: Sequence[str], template: str, *, all_used: bool) -> dict[str, str]:
    """Clean name -> name of its damaged partner: same folder, same stem but for the template.

    Args:
        template: {} stands for the clean photo's stem.
        all_used: refuse damaged photos that nobody asks for; off where a list chose some of many.

    Raises:
        PairingError: a photo without partner; the message names the first ones.
    """
    stems, found = by_stem(damaged), {}
    for name in clean:
        folder, slash, last = stem_of(name).rpartition("/")
        found[name] = stems.get(folder + slash + template.replace("{}", last), "")
    lonely = [name for name, partner in found.items() if not partner]
    if lonely:
        raise PairingError(f"{len(lonely)} clean photos without a damaged partner: {shortened(lonely)}")
    unused = sorted(set(damaged) - set(found.values())) if all_used else []
    if unused:
        raise PairingError(f"{len(unused)} damaged photos without a clean partner: {shortened(unused)}")
    return found


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
