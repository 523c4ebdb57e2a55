"""Published weights: one safetensors file, tensors in half precision, the card in its header.

In: a state dict with our names, a card, a path. Out: float32 tensors and the card. Nothing in such a file can run
code. Written to a temporary name and renamed, so a reader never sees half a file.
"""

import os
from collections.abc import Mapping
from pathlib import Path

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save
from torch import Tensor

from diffir.errors import WeightsError
from diffir.weights.card import WeightsCard
from diffir.weights.fit import check_fit
from diffir.weights.header import read_header


def save_published(
    path: str | Path, state: Mapping[str, Tensor], card: WeightsCard, *, dtype: torch.dtype = torch.float16
) -> None:
    """Write ``state`` and ``card`` to ``path``, atomically.

    Args:
        state: names and shapes of ``DiffIR(card.settings, card.stage)``, any device and precision.
        dtype: storage of the tensors.
    Raises:
        WeightsError: tensors that do not fit the card, that hold NaN or infinity, or that ``dtype`` cannot hold.
    """
    path = Path(path)
    check_fit(state, card.settings, card.stage, f"the state to be saved as {path.name}")
    stored = {name: _stored(name, tensor, dtype) for name, tensor in state.items()}
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        temporary.write_bytes(save(stored, card.to_metadata()))  # save_file would make it unreadable to others
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)


def read_published(path: str | Path) -> tuple[dict[str, Tensor], WeightsCard]:
    """Tensors in float32 on the CPU, and the card.

    Raises:
        WeightsError: not safetensors, cut short, without a card, or tensors that do not fit the card.
    """
    path = Path(path)
    card = WeightsCard.from_metadata(read_header(path).metadata, str(path))
    try:
        state = {name: tensor.float() for name, tensor in load_file(path).items()}
    except SafetensorError as error:
        raise WeightsError(f"{path} is damaged ({error}): copy or download it again") from error
    check_fit(state, card.settings, card.stage, str(path))
    return state, card


def _stored(name: str, tensor: Tensor, dtype: torch.dtype) -> Tensor:
    tensor = tensor.detach().cpu()
    if not tensor.isfinite().all():
        raise WeightsError(f"{name} holds NaN or infinity: the training that made it has diverged")
    stored = tensor.to(dtype, copy=True).contiguous()
    if not stored.isfinite().all():
        raise WeightsError(
            f"{name} reaches {tensor.abs().max():.3g}, more than {dtype} can hold "
            f"({torch.finfo(dtype).max:.3g}): store it as float32 or bfloat16"
        )
    return stored
