"""Suggest the name that a user may have meant, for messages about unknown names.

In: the name that was given, and the known names. Out: the most similar one, or the last part of a message.
"""

import difflib
from collections.abc import Iterable

# Lowest similarity by difflib, 0-1: twice the number of common letters over the number of all. A matter of taste: at
# 0.5 "outscale" was answered with "tile"; "foto" for "photo" has 0.67.
LIKENESS = 0.6


def nearest(name: str, known: Iterable[str]) -> str | None:
    """Return the most similar known name, or None if no name is similar."""
    near = difflib.get_close_matches(name, list(known), n=1, cutoff=LIKENESS)
    return near[0] if near else None


def meant(name: str, known: Iterable[str]) -> str:
    """Return a hint such as ``did you mean 'photo'?``, or a list of all known names if none is similar."""
    names = list(known)
    near = nearest(name, names)
    return f"did you mean {near!r}?" if near else f"known: {', '.join(names)}"
