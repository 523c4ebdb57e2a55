"""Training with several processes: the rank of this process, and the operations that all processes do together.

``torchrun`` sets the environment variables RANK, WORLD_SIZE and LOCAL_RANK; without them there is one process, and the
operations here do nothing. Gradients are averaged after the last backward of a step, with one all-reduce per bucket.
This covers every phase and the discriminator. Wrapping ``forward`` in ``DistributedDataParallel`` would not: the
released code bypasses it in its encoder phase, so that its ranks drift apart.
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
BUCKET_NUMBERS = 8_388_608  # numbers per all-reduce, 32 MB in fp32: large enough for full bandwidth
TIMEOUT = timedelta(hours=2)  # the other processes wait while the first one validates
_VARIABLES = (("RANK", "0"), ("WORLD_SIZE", "1"), ("LOCAL_RANK", "0"))  # names and defaults, as the fields below


@dataclass(frozen=True)
class Processes:
    """Rank of this process, and the number of processes in the run."""

    rank: int = 0
    size: int = 1
    local_rank: int = 0

    @classmethod
    def from_environment(cls) -> "Processes":
        """Read the variables of torchrun and connect to the other processes: NCCL for CUDA tensors, gloo for others.

        Raises:
            TrainingError: a variable is not a whole number, or the other processes cannot be reached.
        """
        try:
            place = cls(*(int(os.environ.get(name, default)) for name, default in _VARIABLES))
        except ValueError as error:
            raise TrainingError("RANK, WORLD_SIZE and LOCAL_RANK must be whole numbers: start with torchrun") from error
        if place.size > 1 and not dist.is_initialized():
            try:
                backend = "cpu:gloo,cuda:nccl" if torch.cuda.is_available() else "gloo"
                dist.init_process_group(backend, timeout=TIMEOUT)
            except (ValueError, RuntimeError) as error:
                reason = " ".join(str(error).split())
                raise TrainingError(f"process {place.rank} cannot join the other {place.size - 1}: {reason}") from error
        return place

    @property
    def is_first(self) -> bool:
        """True for the process that logs, validates and saves."""
        return self.rank == 0

    def device(self, chosen: torch.device) -> torch.device:
        """Return the device of this process: with several processes on CUDA, the GPU of its local rank."""
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
            # One large message is much faster than many small ones.
            flat = torch.cat([tensor.reshape(-1) for tensor in bucket])
            dist.all_reduce(flat)
            flat /= self.size
            parts = flat.split([tensor.numel() for tensor in bucket])
            for tensor, part in zip(bucket, parts, strict=True):
                tensor.copy_(part.view_as(tensor))

    def share(self, value: T) -> T:
        """Return the first process's value on every process; it may hold tensors."""
        if self.size == 1:
            return value
        box = [value]
        dist.broadcast_object_list(box, src=0)
        return box[0]

    @torch.no_grad()
    def broadcast(self, module: nn.Module) -> None:
        """Copy the first process's parameters and buffers to all processes."""
        if self.size > 1:
            for tensor in module.state_dict().values():
                dist.broadcast(tensor, src=0)

    def wait(self) -> None:
        """Wait until all processes have reached this point."""
        if self.size > 1:
            dist.barrier()

    def close(self) -> None:
        """End the connection to the other processes."""
        if dist.is_initialized():
            dist.destroy_process_group()


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
