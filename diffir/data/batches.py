"""Load batches of samples in worker processes or in this process, with the same one-line error in both cases.

In: a dataset and a batch plan. Out: pairs with a leading axis B. torch passes an error of a worker on as a whole
traceback. Here a worker returns the error in place of the batch, and ``load_batches`` raises it in the main process.
"""

from collections.abc import Iterable, Iterator

import torch
from torch.utils.data import DataLoader, Dataset, default_collate

from diffir.data.batch_plan import PatchRequest
from diffir.errors import DiffIRError
from diffir.system import Batch


def load_batches(
    samples: Dataset[Batch], plan: Iterable[list[PatchRequest]], *, workers: int, pin_memory: bool
) -> Iterator[Batch]:
    """Load the batches of a plan in its order; no global random generator is used.

    Args:
        workers: number of worker processes; 0 reads in this process.
        pin_memory: copy batches to pinned memory, from which transfers to a GPU are faster.

    Raises:
        DiffIRError: the error that ``samples`` raised, unchanged.
    """
    loader = DataLoader(
        _SamplesOrErrors(samples),
        batch_sampler=plan,
        num_workers=workers,
        collate_fn=_batch_of,
        pin_memory=pin_memory,
        generator=torch.Generator(),  # without it, the loader draws a seed from the global generator
    )
    for batch in loader:
        if isinstance(batch, DiffIRError):
            raise batch
        yield batch


class _SamplesOrErrors(Dataset[Batch | DiffIRError]):
    """Returns the samples, or the error instead of a sample that cannot be made."""

    def __init__(self, samples: Dataset[Batch]) -> None:
        self.samples = samples

    def __getitem__(self, request: PatchRequest) -> Batch | DiffIRError:
        try:
            return self.samples[request]
        except DiffIRError as error:
            return error


def _batch_of(results: list[Batch | DiffIRError]) -> Batch | DiffIRError:
    return next((result for result in results if isinstance(result, DiffIRError)), None) or default_collate(results)
