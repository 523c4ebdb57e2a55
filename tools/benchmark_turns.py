"""How ``tools/benchmark.py`` takes time: in turns A B C A B C ..., so that a busy machine is busy for all of them.

In: calls. Out: seconds and page faults of every turn but the first, which warms up; medians with least and greatest.
"""

import math
import resource
import statistics
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

import torch


@dataclass(frozen=True)
class Spread:
    """A median over the rounds, with the least and the greatest."""

    median: float
    least: float
    greatest: float

    @classmethod
    def of(cls, values: Sequence[float]) -> "Spread":
        return cls(statistics.median(values), min(values), max(values))

    def __format__(self, form: str) -> str:
        return f"{self.median:{form}} ({self.least:{form}} to {self.greatest:{form}})"


@dataclass
class Turns:
    """One figure a round."""

    seconds: list[float] = field(default_factory=list)
    page_faults: list[int] = field(default_factory=list)
    """Minor ones: pages that the system had to hand out."""


def in_turns(
    calls: Mapping[str, Callable[[], object]], rounds: int, device: str, limit: float = math.inf
) -> dict[str, Turns]:
    """Every call once a round; one that takes more than ``limit`` seconds is not made again, and that time counts."""
    found = {name: Turns() for name in calls}
    going = dict(calls)
    for number in range(rounds + 1):
        for name, call in list(going.items()):
            seconds, page_faults = timed(call, device)
            if number or seconds > limit:
                found[name].seconds.append(seconds)
                found[name].page_faults.append(page_faults)
            if seconds > limit:
                del going[name]
    return found


def timed(call: Callable[[], object], device: str) -> tuple[float, int]:
    """Seconds and minor page faults of one call."""
    faults, start = _page_faults(), time.perf_counter()
    call()
    if torch.device(device).type == "cuda":
        torch.cuda.synchronize(device)
    return time.perf_counter() - start, _page_faults() - faults


def _page_faults() -> int:
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt
