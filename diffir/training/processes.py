"""Many processes, one run: who this process is, and the few things all of them do together.

``torchrun`` tells a process its place by environment variables (RANK, WORLD_SIZE, LOCAL_RANK); without them it is alone
and everything here does nothing. Gradients are averaged after the last backward of a step, by one all-reduce a bucket:
that holds for every method, phase and discriminator alike, which wrapping one ``forward`` in
``DistributedDataParallel`` does not (the released code bypasses it in its encoder phase and trains ranks apart).
"""

import os
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import TypeVar

import torch
import torch.distributed as dist
from torch import Tensor, nn

from diffir.errors import TrainingError

T = TypeVar("T")
BUCKET_NUMBERS = 8_388_608  # numbers reduced at once, 32 MB in fp32: large enough for full bandwidth
PATIENCE = timedelta(hours=2)  # the others wait while the first process validates


@dataclass(frozen=True)
class Processes:
    """This process among all of a run."""

    rank: int = 0
    size: int = 1
    local_rank: int = 0

    @classmethod
    def from_environment(cls) -> "Processes":
        """As torchrun says; joins the others: tensors of CUDA travel over NCCL, others over gloo.

        Raises:
            TrainingError: the variables are there but make no sense, or the others cannot be reached.
        """
        try:
            place = cls(*(int(os.environ.get(name, default)) for name, default in _VARIABLES))
        except ValueError as error:
            raise TrainingError("RANK, WORLD_SIZE and LOCAL_RANK must be whole numbers: start with torchrun") from error
        if place.size > 1 and not dist.is_initialized():
            try:
                backend = "cpu:gloo,cuda:nccl" if torch.cuda.is_available() else "gloo"
                dist.init_process_group(backend, timeout=PATIENCE)
            except (ValueError, RuntimeError) as error:
                reason = " ".join(str(error).split())
                raise TrainingError(f"process {place.rank} cannot join the other {place.size - 1}: {reason}") from error
        return place

    @property
    def is_first(self) -> bool:
        """Whether this process logs, validates and saves."""
        return self.rank == 0

    def device(self, chosen: torch.device) -> torch.device:
        """The device of this process: of several CUDA devices the one with its local rank."""
        if self.size == 1 or chosen.type != "cuda":
            return chosen
        torch.cuda.set_device(self.local_rank)
        return torch.device("cuda", self.local_rank)

    @torch.no_grad()
    def average(self, tensors: Iterable[Tensor]) -> None:
        """Replace every tensor by its mean over all processes, in place."""
        if self.size == 1:
            return
        for bucket in _buckets(list(tensors)):
            flat = torch.cat([tensor.reshape(-1) for tensor in bucket])
            dist.all_reduce(flat)
            flat /= self.size
            parts = flat.split([tensor.numel() for tensor in bucket])
            for tensor, part in zip(bucket, parts, strict=True):
                tensor.copy_(part.view_as(tensor))

    def share(self, value: T) -> T:
        """What the first process holds, on all; tensors included."""
        if self.size == 1:
            return value
        box = [value]
        dist.broadcast_object_list(box, src=0)
        return box[0]

    @torch.no_grad()
    def equalise(self, module: nn.Module) -> None:
        """Give all processes the first one's parameters and buffers."""
        if self.size > 1:
            for tensor in module.state_dict().values():
                dist.broadcast(tensor, src=0)

    def wait(self) -> None:
        """Until all are here."""
        if self.size > 1:
            dist.barrier()

    def leave(self) -> None:
        """Part from the others at the end of the run."""
        if dist.is_initialized():
            dist.destroy_process_group()


_VARIABLES = (("RANK", "0"), ("WORLD_SIZE", "1"), ("LOCAL_RANK", "0"))


def _buckets(tensors: Sequence[Tensor]) -> Iterable[list[Tensor]]:
    bucket: list[Tensor] = []
    numbers = 0
    for tensor in tensors:
        bucket.append(tensor)
        numbers += tensor.numel()
        if numbers >= BUCKET_NUMBERS:
            yield bucket
            bucket, numbers = [], 0
    if bucket:
        yield bucket
