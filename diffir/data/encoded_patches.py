"""Training samples that frozen networks have encoded once, and that are kept on disk.

In: samples by their number, as ``training_set`` makes them, after a stage has encoded them. Out: the same samples in
every later step and run. Each is a file ``NUMBER.safetensors`` in half precision, which appears complete or not at all.
The folder belongs to one encoder and one training set, so files need no check of their own.
"""

from collections.abc import Sequence
from pathlib import Path

import torch
from safetensors import SafetensorError
from safetensors.torch import load, save
from torch.utils.data import Dataset

from diffir.config import TrainSetConfig
from diffir.data.batch_plan import PatchRequest
from diffir.data.training_set import shuffled_place
from diffir.errors import ConfigError
from diffir.files import write_atomically
from diffir.shipped_files import own_or_shipped
from diffir.system import EncodedPair

SUFFIX = ".safetensors"


class EncodedPatches(Dataset[EncodedPair]):
    """A fixed number of encoded samples in a folder, each of them used once in every epoch, in random order."""

    def __init__(self, folder: Path, count: int, *, seed: tuple[int, ...]) -> None:
        """
        Args:
            seed: decides the order of the samples.
        """
        self.folder = folder
        self.count = count
        self.seed = seed

    def missing(self) -> list[int]:
        """The numbers of the samples that are not on disk yet."""
        there = {path.name for path in self.folder.glob(f"*{SUFFIX}")}
        return [number for number in range(self.count) if self._path(number).name not in there]

    def keep(self, number: int, sample: EncodedPair) -> None:
        """Write a sample, whose tensors have no leading axis of a batch."""
        halves = {name: tensor.half().contiguous().cpu() for name, tensor in sample._asdict().items()}
        with write_atomically(self._path(number)) as file:
            file.write(save(halves))

    def __getitem__(self, request: PatchRequest) -> EncodedPair:
        """
        Raises:
            ConfigError: the file is missing or damaged.
        """
        path = self._path(shuffled_place(self.seed, request.index, self.count))
        try:
            tensors = load(path.read_bytes())
        except (OSError, SafetensorError) as error:
            raise ConfigError(f"{path} cannot be read ({error}): delete it, and it is made again") from error
        return EncodedPair(**{name: tensor.float() for name, tensor in tensors.items()})

    def _path(self, number: int) -> Path:
        return self.folder / f"{number:07d}{SUFFIX}"


def files_of(config: TrainSetConfig) -> Sequence[str]:
    """Names, sizes and times of the files that a training set is made of; they change when a photo does."""
    lines = []
    for name in (config.dataroot_gt, config.dataroot_lq, config.dataroot_mask, config.meta_info_file):
        root = None if name is None else own_or_shipped(name)
        if root is None:
            continue
        for path in sorted(root.rglob("*")) if root.is_dir() else [root]:
            if path.is_file() and path.name != "lock.mdb":  # LMDB writes to its lock when it is read
                status = path.stat()
                lines.append(f"{path.relative_to(root).as_posix()} {status.st_size} {status.st_mtime_ns}")
    return lines


def as_one(batch: EncodedPair) -> EncodedPair:
    """The only sample of a batch of one."""
    return EncodedPair(*(torch.squeeze(tensor, 0) for tensor in batch))
