"""The bytes that the operators of a call read and write, for the share of the copy bandwidth that the call reaches.

In: a function without arguments. Out: bytes. Every operator that torch dispatches counts its input and output tensors
once each. Views, and tensors that are made without being filled, count nothing. An expanded tensor counts the memory
that it has.

The estimate leaves out what happens inside an operator: a softmax or norm that reads its input twice, the workspace of
a convolution and its change of layout, and tiles of a matrix that are read more than once. It also counts reads that
the caches of the device answer, so small maps can exceed the bandwidth of the memory. What ``torch.compile`` fuses is
no operator, so compiled networks cannot be counted.
"""

from collections.abc import Callable, Iterator
from typing import Any

import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

_UNFILLED = {"aten::empty", "aten::empty_like", "aten::empty_strided", "aten::new_empty", "aten::new_empty_strided"}
_OVERWRITING = {"aten::copy_", "aten::fill_", "aten::zero_"}  # they do not read the tensor that they write


def bytes_moved_by(work: Callable[[], object]) -> int:
    """Return the bytes that the operators of a call read and write together, on all devices."""
    counter = _Counter()
    with torch.no_grad(), counter:
        work()
    return counter.total


class _Counter(TorchDispatchMode):
    """Adds up the bytes of the operators while it is active."""

    def __init__(self) -> None:
        super().__init__()
        self.total = 0

    def __torch_dispatch__(
        self,
        func: Any,
        types: Any,
        args: tuple[Any, ...] = (),
        kwargs: dict[str, Any] | None = None,
    ) -> Any:
        results = func(*args, **(kwargs or {}))
        given, made = list(_tensors((args, kwargs))), list(_tensors(results))
        # An operator that writes nowhere and returns memory that it was given has only looked at it in another way.
        held = {tensor.untyped_storage().data_ptr() for tensor in given}
        is_view = not func._schema.is_mutable and any(one.untyped_storage().data_ptr() in held for one in made)
        if not is_view and func._schema.name not in _UNFILLED:
            counted = given if func._schema.name in _OVERWRITING else [*given, *made]
            self.total += sum(_bytes_of(tensor) for tensor in counted)
        return results


def _tensors(values: object) -> Iterator[Tensor]:
    yield from (value for value in tree_leaves(values) if isinstance(value, Tensor))


def _bytes_of(tensor: Tensor) -> int:
    """Return the bytes that a tensor has in memory; a side that is expanded counts once."""
    elements = 1
    for side, stride in zip(tensor.shape, tensor.stride(), strict=True):
        elements *= side if stride or not side else 1
    return elements * tensor.element_size()
