"""Decide which samples make up which training step, as a pure function of the step.

Samples of a stage are numbered from 0. A step takes ``accumulate * processes * batch_size`` of them, and a run on one
process or on two sees the same samples in the same step. A run is resumed by giving its first step.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class PatchRequest:
    """The argument with which the batch sampler indexes a training set."""

    index: int
    """Number of the sample, counted from 0 at the start of the stage."""
    size: int
    """Side of the patch in pixels of the ground truth."""


@dataclass(frozen=True)
class PatchSize:
    """One leg of progressive training: a number of steps with one patch size and one batch size."""

    steps: int
    gt_size: int
    """Side of the patch in pixels of the ground truth."""
    batch_size: int
    """Number of samples in a batch on one process."""


class BatchPlan:
    """Batch sampler of one process.

    It yields the process's batches of every step from ``first_step`` to the end, ``accumulate`` batches per step.
    """

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
