"""Lists in the order of their first meeting: each name once, and items of one kind together.

In: any sequence. Out: the same items; nothing is sorted, so that readers meet them as the file has them.
"""

from collections.abc import Callable, Iterable, Sequence
from typing import TypeVar

T = TypeVar("T")
K = TypeVar("K")


def each_once(names: Iterable[str]) -> list[str]:
    """Names without repetition."""
    return list(dict.fromkeys(names))


def grouped(items: Sequence[T], key: Callable[[T], K]) -> dict[K, list[T]]:
    """Items by their key."""
    groups: dict[K, list[T]] = {}
    for item in items:
        groups.setdefault(key(item), []).append(item)
    return groups
