"""The name somebody may have meant: what an error says of a name that nobody knows.

In: what was written, and the names there are. Out: the nearest one, or the end of a message.
"""

import difflib
from collections.abc import Iterable

LIKENESS = 0.5  # of difflib, 0-1; by taste: one letter wrong of two is still near


def nearest(name: str, known: Iterable[str]) -> str | None:
    """The most similar name; None if none is similar."""
    near = difflib.get_close_matches(name, list(known), n=1, cutoff=LIKENESS)
    return near[0] if near else None


def meant(name: str, known: Iterable[str]) -> str:
    """``did you mean 'photo'?``, or all names where none is near."""
    names = list(known)
    near = nearest(name, names)
    return f"did you mean {near!r}?" if near else f"known: {', '.join(names)}"
