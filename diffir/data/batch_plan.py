"""Which samples make up which step: a pure function of the step, so a run is resumed by naming its first step.

Samples of a stage are numbered from 0. A step takes ``accumulate * processes * batch_size`` of them, whoever computes
them: the same run on one and on two processes sees the same samples in the same step.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class PatchRequest:
    """What a sampler asks a dataset for."""

    index: int
    """Number of the sample since the start of the stage."""
    size: int
    """Side of the patch in pixels of the clean image."""


@dataclass(frozen=True)
class PatchSize:
    """One leg of progressive training."""

    steps: int
    gt_size: int
    batch_size: int
    """Samples of a batch on one process."""


class BatchPlan:
    """Batch sampler of one process: its batches of every step from ``first_step`` to the end, ``accumulate`` a step."""

    def __init__(
        self, legs: Sequence[PatchSize], first_step: int = 0, *, accumulate: int = 1, rank: int = 0, processes: int = 1
    ) -> None:
        self.legs = list(legs)
        self.first_step = first_step
        self.accumulate = accumulate
        self.rank = rank
        self.processes = processes

    def __len__(self) -> int:
        return (sum(leg.steps for leg in self.legs) - self.first_step) * self.accumulate

    def __iter__(self) -> Iterator[list[PatchRequest]]:
        step = index = 0
        for leg in self.legs:
            for _ in range(leg.steps):
                for batch in range(self.accumulate):
                    first = index + (batch * self.processes + self.rank) * leg.batch_size
                    if step >= self.first_step:
                        yield [PatchRequest(first + k, leg.gt_size) for k in range(leg.batch_size)]
                step += 1
                index += self.accumulate * self.processes * leg.batch_size
