"""Measure how many bytes of tensors exist at the same time during a call.

In: a function. Out: the largest sum of bytes of the tensors that were made in the call and existed together. Memory
that a kernel takes and gives back inside itself is not seen.
"""

import weakref
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves
from torch.utils.weak import WeakIdKeyDictionary


def peak_of_live_bytes(work: Callable[[], object]) -> int:
    """The largest number of bytes of the tensors that ``work`` makes and that exist together, its result included."""
    ledger = _Ledger()
    with ledger, torch.no_grad():
        result = work()  # the name keeps the result alive until the sum was taken
    del result
    return ledger.peak


class _Ledger(TorchDispatchMode):
    """Adds the size of each new storage, and subtracts it when the storage is freed."""

    def __init__(self) -> None:
        super().__init__()
        self.peak = 0
        self._now = 0
        self._known = WeakIdKeyDictionary()

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        for given in tree_leaves((args, kwargs)):  # weights and inputs existed before
            if isinstance(given, Tensor):
                self._known.setdefault(given.untyped_storage(), True)
        result = func(*args, **(kwargs or {}))
        for made in tree_leaves(result):
            if isinstance(made, Tensor):
                self._count(made.untyped_storage())
        return result

    def _count(self, storage: torch.UntypedStorage) -> None:
        if storage in self._known:
            return
        self._known[storage] = True
        size = storage.nbytes()
        self._now += size
        self.peak = max(self.peak, self._now)
        weakref.finalize(storage, self._free, size)

    def _free(self, size: int) -> None:
        self._now -= size
