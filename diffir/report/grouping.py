"""Remove repetitions and group items, in the order of their first appearance.

In: any sequence. Out: the same items; nothing is sorted, so that a page keeps the order of its file.
"""

from collections.abc import Callable, Iterable, Sequence
from typing import TypeVar

T = TypeVar("T")
K = TypeVar("K")


def each_once(names: Iterable[str]) -> list[str]:
    """Remove repeated names; the first of each stays."""
    return list(dict.fromkeys(names))


def grouped(items: Sequence[T], key: Callable[[T], K]) -> dict[K, list[T]]:
    """Group items by the value of ``key``."""
    groups: dict[K, list[T]] = {}
    for item in items:
        groups.setdefault(key(item), []).append(item)
    return groups
