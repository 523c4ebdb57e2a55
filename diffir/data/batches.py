"""Batches of samples, made by worker processes or by this one; an error is the same line in both cases.

torch hands an error of a worker on as its whole traceback. Here a worker answers with the error itself in place of the
batch, and who asked for the batch raises it. In: a dataset and a plan. Out: pairs with a leading axis B.
"""

from collections.abc import Iterator

import torch
from torch.utils.data import DataLoader, Dataset, default_collate

from diffir.data.batch_plan import BatchPlan, PatchRequest
from diffir.data.samples import Pair
from diffir.errors import DiffIRError


def load_batches(samples: Dataset[Pair], plan: BatchPlan, *, workers: int, pin_memory: bool) -> Iterator[Pair]:
    """The plan's batches in its order; draws from no global generator.

    Args:
        workers: reading processes; 0 reads in this one.
        pin_memory: put batches where a GPU fetches them fast.

    Raises:
        DiffIRError: what ``samples`` raises, unchanged.
    """
    loader = DataLoader(
        _Answers(samples),
        batch_sampler=plan,
        num_workers=workers,
        collate_fn=_batch_of,
        pin_memory=pin_memory,
        generator=torch.Generator(),  # or the loader would draw a seed from the global one
    )
    for batch in loader:
        if isinstance(batch, DiffIRError):
            raise batch
        yield batch


class _Answers(Dataset[Pair | DiffIRError]):
    """Samples, and errors in place of those that cannot be made."""

    def __init__(self, samples: Dataset[Pair]) -> None:
        self.samples = samples

    def __getitem__(self, request: PatchRequest) -> Pair | DiffIRError:
        try:
            return self.samples[request]
        except DiffIRError as error:
            return error


def _batch_of(answers: list[Pair | DiffIRError]) -> Pair | DiffIRError:
    return next((answer for answer in answers if isinstance(answer, DiffIRError)), None) or default_collate(answers)
