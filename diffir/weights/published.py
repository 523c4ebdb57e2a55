"""Write and read published weights: a safetensors file with tensors in half precision and a card in its header.

In: a state dict with diffir's names, a card and a path. Out: float32 tensors and the card. Reading such a file cannot
run code from it.
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
from diffir.weights.header import DESCRIPTION, read_header, with_sorted_metadata
from diffir.weights.twins import WEAK, parted


def save_published(
    path: str | Path,
    state: Mapping[str, Tensor],
    card: WeightsCard,
    system: System,
    *,
    dtype: torch.dtype = torch.float16,
) -> None:
    """Write ``state`` and ``card`` to ``path``; an existing file is replaced only after all was written.

    Equal tensors and cards make equal bytes, so that the sum of a file can be noted down and compared.

    Args:
        state: tensors with the names and shapes of ``system.build(card.settings, card.part)``, any device and dtype;
            with those of a weaker twin, as ``weights.twins.joined`` returns them, if the card has a denoise_strength.
        system: the system of the card.
        dtype: dtype in which the tensors are stored.
    Raises:
        WeightsError: tensors do not fit the card, hold NaN or infinity, or have values too large for ``dtype``.
    """
    # Check names and shapes before anything is written.
    path = Path(path)
    source = f"the state to be saved as {path.name}"
    network = empty_network(system, card.settings, card.part, source)
    for one in (state,) if card.denoise_strength is None else parted(state):
        check_fit(one, network, card.part, source)
    parameters = {prefix + name for name, _ in network.named_parameters() for prefix in ("", WEAK)}
    # Only parameters may lose precision: a noise schedule or a running mean in a buffer would not survive it.
    stored = {name: _stored(name, state[name], dtype if name in parameters else state[name].dtype) for name in state}
    stored[DESCRIPTION] = torch.frombuffer(bytearray(card.to_description()), dtype=torch.uint8)
    start, tensors = with_sorted_metadata(save(stored, card.to_metadata()))
    with write_atomically(path) as file:
        file.write(start)
        file.write(tensors)


def read_published(path: str | Path) -> tuple[dict[str, Tensor], WeightsCard]:
    """Read the tensors, in float32 on the CPU, and the card; ``load_network`` checks that they fit each other.

    Raises:
        WeightsError: the file is not in this format, is cut short, or has no card.
    """
    path = Path(path)
    card = WeightsCard.from_metadata(read_header(path).metadata, str(path))
    tensors = read_tensors(path)
    tensors.pop(DESCRIPTION, None)
    return {name: _full_precision(tensor) for name, tensor in tensors.items()}, card


def _full_precision(tensor: Tensor) -> Tensor:
    return tensor.float() if tensor.dtype in (torch.float16, torch.bfloat16) else tensor


def _stored(name: str, tensor: Tensor, dtype: torch.dtype) -> Tensor:
    tensor = tensor.detach().cpu()
    if not tensor.isfinite().all():
        raise WeightsError(f"{name} holds NaN or infinity: the training that made it has diverged")
    # Large values become infinite in half precision.
    stored = tensor.to(dtype, copy=True).contiguous()
    if not stored.isfinite().all():
        raise WeightsError(
            f"{name} reaches {tensor.abs().max():.3g}, more than {dtype} can hold "
            f"({torch.finfo(dtype).max:.3g}): store it as float32 or bfloat16"
        )
    return stored
