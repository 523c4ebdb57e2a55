"""Timing in turns A B C A B C ..., so that other work on the machine affects all calls alike.

In: functions without arguments. Out: seconds and page faults of every turn after the first ones, which warm up. The
clock is read when a graphics card has finished all work.
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
    """The median over the rounds, with the least and the greatest value."""

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
    """The figures of one contender, one for each round."""

    seconds: list[float] = field(default_factory=list)
    page_faults: list[int] = field(default_factory=list)
    """Minor page faults: pages that the system had to provide."""


def in_turns(
    calls: Mapping[str, Callable[[], object]],
    rounds: int,
    device: str,
    limit: float = math.inf,
    clock: Callable[[], float] = time.perf_counter,
    *,
    warm_up: int = 1,
) -> dict[str, Turns]:
    """Time every call once a round; a call that takes more than ``limit`` seconds counts and is not repeated.

    Args:
        warm_up: rounds before those that count.
        clock: ``time.process_time`` counts the seconds of the processor, which other work on the machine changes less.
    """
    found = {name: Turns() for name in calls}
    repeated = dict(calls)
    for number in range(warm_up + rounds):
        for name, call in list(repeated.items()):
            seconds, page_faults = timed(call, device, clock)
            if number >= warm_up or seconds > limit:
                found[name].seconds.append(seconds)
                found[name].page_faults.append(page_faults)
            if seconds > limit:
                del repeated[name]
    return found


def timed(call: Callable[[], object], device: str, clock: Callable[[], float] = time.perf_counter) -> tuple[float, int]:
    """Return the seconds and minor page faults of one call."""
    synchronise(device)
    faults, start = _page_faults(), clock()
    call()
    synchronise(device)
    return clock() - start, _page_faults() - faults


def synchronise(device: str) -> None:
    """Wait until a graphics card has finished all work; other devices work at once."""
    if torch.device(device).type == "cuda":
        torch.cuda.synchronize(device)


def _page_faults() -> int:
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt
