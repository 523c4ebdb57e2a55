"""Published weights: one safetensors file, tensors in half precision, the card in its header.

In: a state dict with our names, a card, a path. Out: float32 tensors and the card. Nothing in such a file can run
code.
"""

from collections.abc import Mapping
from pathlib import Path

import torch
from safetensors.torch import save
from torch import Tensor

from diffir.errors import WeightsError
from diffir.files import write_atomically
from diffir.system import System
from diffir.weights.card import WeightsCard
from diffir.weights.checkpoint_file import read_tensors
from diffir.weights.fit import check_fit, empty_network
from diffir.weights.header import read_header


def save_published(
    path: str | Path,
    state: Mapping[str, Tensor],
    card: WeightsCard,
    system: System,
    *,
    dtype: torch.dtype = torch.float16,
) -> None:
    """Write ``state`` and ``card`` to ``path``, atomically.

    Args:
        state: names and shapes of ``system.build(card.settings, card.part)``, any device and precision.
        system: the system of the card.
        dtype: storage of the tensors.
    Raises:
        WeightsError: tensors that do not fit the card, that hold NaN or infinity, or that ``dtype`` cannot hold.
    """
    path = Path(path)
    source = f"the state to be saved as {path.name}"
    check_fit(state, empty_network(system, card.settings, card.part, source), card.part, source)
    stored = {name: _stored(name, tensor, dtype) for name, tensor in state.items()}
    content = save(stored, card.to_metadata())
    with write_atomically(path) as file:
        file.write(content)


def read_published(path: str | Path) -> tuple[dict[str, Tensor], WeightsCard]:
    """Tensors in float32 on the CPU, and the card; whether they fit each other is checked by ``load_network``.

    Raises:
        WeightsError: not safetensors, cut short, or without a card.
    """
    path = Path(path)
    card = WeightsCard.from_metadata(read_header(path).metadata, str(path))
    return {name: tensor.float() for name, tensor in read_tensors(path).items()}, card


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
