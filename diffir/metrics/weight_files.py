"""The weight files of metrics: the list of public ones, and functions that read them without executing code in them.

In: the path of a file in ``PUBLIC_FILES``, which ``public_files`` finds, or the name of a file in ``weights/``, which
ships with the package. Out: tensors or arrays by name. The functions that need torch import it.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from diffir.errors import WeightsError
from diffir.public_files import PublicFile

if TYPE_CHECKING:
    from torch import Tensor, nn

SHIPPED = Path(__file__).parent / "weights"

_LPIPS = "https://raw.githubusercontent.com/richzhang/PerceptualSimilarity/master/lpips/weights/v0.1"
_INCEPTION = "pt_inception-2015-12-05-6726825d.pth"
PUBLIC_FILES: dict[str, PublicFile] = {
    "alexnet": PublicFile(
        "alexnet-owt-7be5be79.pth",
        "hub/checkpoints/alexnet-owt-7be5be79.pth",
        "https://download.pytorch.org/models/alexnet-owt-7be5be79.pth",
        "7be5be791159472b1fbf3c69796f7cb30dca7ad8466c2df70058c37116cdee02",
    ),
    "vgg16": PublicFile(
        "vgg16-397923af.pth",
        "hub/checkpoints/vgg16-397923af.pth",
        "https://download.pytorch.org/models/vgg16-397923af.pth",
        "397923af8e79cdbb6a7127f12361acd7a2f83e06b05044ddf496e83de57a5bf0",
    ),
    "lpips_alex": PublicFile(
        "lpips_v0.1_alex.pth",
        "",
        f"{_LPIPS}/alex.pth",
        "df73285e35b22355a2df87cdb6b70b343713b667eddbda73e1977e0c860835c0",
    ),
    "lpips_vgg": PublicFile(
        "lpips_v0.1_vgg.pth",
        "",
        f"{_LPIPS}/vgg.pth",
        "a78928a0af1e5f0fcb1f3b9e8f8c3a2a5a3de244d830ad5c1feddc79b8432868",
    ),
    "dists": PublicFile(
        "dists_weights.pt",
        "",
        "https://raw.githubusercontent.com/dingkeyan93/DISTS/master/DISTS_pytorch/weights.pt",
        "f5e65c96230b7f6ca995691647d482237e4cab8a50c5c4a5784f219ef0748218",
    ),
    "inception": PublicFile(
        _INCEPTION,
        f"hub/checkpoints/{_INCEPTION}",
        f"https://github.com/mseitzer/pytorch-fid/releases/download/fid_weights/{_INCEPTION}",
        "6726825d0af5f729cebd5821db510b11b1cfad8faad88a03f1befd49fb9129b2",
    ),
}
"""Public weight files by the name under which a user may give their path."""


def read_shipped(name: str) -> dict[str, np.ndarray]:
    """Read the arrays of a file that ships with the package, by name."""
    with np.load(SHIPPED / name, allow_pickle=False) as content:
        return dict(content)


def read_tensors(path: Path) -> dict[str, Tensor]:
    """Read the tensors of a public file by name, on the CPU; entries of other types are ignored.

    Raises:
        WeightsError: the file is damaged, was not written by torch, or holds no tensors by name.
    """
    from torch import Tensor

    from diffir.torch_file import read_torch_file

    content = read_torch_file(path)
    state = content if isinstance(content, dict) else {}
    tensors = {name: value for name, value in state.items() if isinstance(name, str) and isinstance(value, Tensor)}
    if not tensors:
        raise WeightsError(f"{path} does not hold tensors by name: download it again")
    return tensors


def take(state: Mapping[str, Tensor], name: str, shape: tuple[int, ...], source: Path) -> Tensor:
    """Return one tensor of a state dict in float32.

    Args:
        source: the file, named in the error message.
    Raises:
        WeightsError: the tensor is missing or has another shape.
    """
    if name not in state or tuple(state[name].shape) != shape:
        raise WeightsError(f"{source} is another file than expected: {name} is missing or not of shape {shape}")
    return state[name].float()


def fill(network: nn.Module, state: Mapping[str, Tensor], source: Path) -> None:
    """Load the tensors of its names into a network and freeze it; other tensors are ignored.

    Args:
        source: the file, named in the error message.
    Raises:
        WeightsError: a tensor is missing or has another shape.
    """
    needed = {
        name: tuple(tensor.shape)
        for name, tensor in network.state_dict().items()
        if not name.endswith("num_batches_tracked")  # counts batches of training; old files do not have it
    }
    network.load_state_dict({name: take(state, name, shape, source) for name, shape in needed.items()}, strict=False)
    network.eval().requires_grad_(False)
