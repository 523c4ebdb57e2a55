"""Load networks of other projects, so that users can compare DiffIR with the networks they use today.

In: a weights file of any architecture that the optional package ``spandrel`` knows. Out: a method with the same
``restore`` as all others. The file is read by ``diffir.weights``, which executes no code from it; spandrel's own reader
does not guarantee that and runs TorchScript programs. Networks run in fp32 on the whole image, without tiles.
"""

import importlib
import importlib.util
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any, Protocol

import numpy as np
import torch
from einops import rearrange
from torch import Tensor, nn

from diffir._basicsr import prepare_torchvision
from diffir.errors import ImageError, MissingDependency, UsageError
from diffir.pixels import as_rgb, to_float, to_kind
from diffir.weights.checkpoint_file import read_checkpoint
from diffir.weights.fingerprint import fingerprint

# Errors of building a network from a file whose keys match an architecture but whose shapes do not.
_SHAPE_ERRORS = (RuntimeError, ValueError, TypeError, AttributeError, LookupError, AssertionError)


class Described(Protocol):
    """The descriptor that spandrel returns: a network with its facts; it pads inputs to sizes the network accepts."""

    @property
    def model(self) -> nn.Module: ...
    @property
    def scale(self) -> int: ...
    @property
    def input_channels(self) -> int: ...

    def __call__(self, *inputs: Tensor) -> Tensor:
        """Map (1, C, H, W) in [0, 1], for inpainting with a mask (1, 1, H, W), to (1, C, scale*H, scale*W)."""
        ...


@dataclass(frozen=True)
class ForeignMethod:
    """A network of another project, with the interface of every method."""

    name: str
    architecture: str
    """Name of the architecture in spandrel."""
    fingerprint: str
    """Fingerprint of the file, see ``diffir.weights.fingerprint``."""
    has_mask: bool
    described: Described

    @property
    def scale(self) -> int:
        """Side of the output divided by the side of the input."""
        return self.described.scale

    @property
    def module(self) -> nn.Module:
        """The network as a torch module."""
        return self.described.model

    @property
    def parameters(self) -> int:
        """Number of learnt parameters of the network."""
        return sum(parameter.numel() for parameter in self.module.parameters())

    @torch.inference_mode()
    def restore(self, image: np.ndarray, mask: np.ndarray | None = None) -> np.ndarray:
        """Restore one image.

        Args:
            image: H x W x 3 RGB or H x W x 1 grey, uint8, uint16 or float with white at 1. A colour network gets a grey
                image as three equal channels, and the mean of its three output channels is returned.
            mask: H x W, above 0 where pixels are missing; required for inpainting networks, not allowed for others.
        Returns:
            An image of the same dtype, sides multiplied by ``scale``. Floats are in [0, 1]; inpainting keeps known
            pixels unchanged.
        Raises:
            UsageError: a mask is given but not allowed, or is needed but not given.
            ImageError: a colour image for a grey network, or a mask of another size.
        """
        if self.has_mask != (mask is not None):
            reason = "fills holes: it needs a mask" if self.has_mask else "takes no mask"
            raise UsageError(
                f"{self.name} {reason}; masks are for inpainting networks, above 0 where pixels are missing"
            )

        # Adapt the channels, restore, and adapt them back.
        wanted, given = self.described.input_channels, image.shape[2]
        if wanted < given:
            raise ImageError(f"{self.name} is a network for grey images, this one has {given} channels")
        lq = self._tensor(as_rgb(image) if given < wanted else image)
        restored = self.described(lq) if mask is None else self._fill(lq, mask)
        restored = restored.mean(dim=1, keepdim=True) if given < wanted else restored
        return to_kind(rearrange(restored[0], "c h w -> h w c").cpu().numpy(), image.dtype)

    def _fill(self, lq: Tensor, mask: np.ndarray) -> Tensor:
        if mask.shape != lq.shape[2:]:
            raise ImageError(
                f"the mask is {mask.shape} but the image is {tuple(lq.shape[2:])} (H, W); both must be equal"
            )
        # Known pixels are taken from the input, whatever the network makes of them.
        holes = self._tensor((mask > 0)[:, :, None].astype(np.float32))
        known = (1 - holes) * lq
        return known + holes * self.described(known, holes)

    def _tensor(self, image: np.ndarray) -> Tensor:
        pixels = torch.from_numpy(np.ascontiguousarray(to_float(image), np.float32))
        return rearrange(pixels, "h w c -> 1 c h w").to(next(self.module.parameters()).device)


def load_foreign(path: str | Path, *, device: torch.device | str = "cpu") -> ForeignMethod:
    """Load the network of a file; spandrel recognises the architecture from the tensors.

    Args:
        path: .pth, .pt, .ckpt or .safetensors.
        device: device on which the network runs.

    Raises:
        MissingDependency: spandrel is not installed.
        UsageError: the file does not exist, spandrel does not know the architecture, or it takes neither RGB nor grey.
        WeightsError: the file is no checkpoint, is incomplete, or cannot be read without executing code from it.
    """
    path = Path(path)
    spandrel = _load_spandrel()
    described = _recognise(spandrel, path)

    # Only RGB and grey images can be compared.
    channels = described.input_channels, described.output_channels
    if channels not in ((1, 1), (3, 3)):
        raise UsageError(
            f"{path}: takes {channels[0]} channels and gives {channels[1]}; only RGB or grey can be compared"
        )
    described.to(device).eval()
    return ForeignMethod(
        name=path.stem,
        architecture=described.architecture.name,
        fingerprint=fingerprint(path),
        has_mask=isinstance(described, spandrel.MaskedImageModelDescriptor),
        described=described,
    )


def _recognise(spandrel: ModuleType, path: Path) -> Any:
    """Return spandrel's descriptor of the network in the file."""
    state = read_checkpoint(path)
    try:
        return spandrel.ModelLoader().load_from_state_dict(state)
    except spandrel.UnsupportedModelError as error:
        raise UsageError(
            f"{path} holds no network that spandrel {spandrel.__version__} knows; "
            "https://github.com/chaiNNer-org/spandrel lists them"
        ) from error
    except _SHAPE_ERRORS as error:
        reason = next(iter(str(error).splitlines()), type(error).__name__)
        raise UsageError(f"{path} resembles a network that spandrel knows, but is none ({reason})") from error


def _load_spandrel() -> ModuleType:
    # spandrel imports torchvision, so both must be installed.
    for package in ("spandrel", "torchvision"):
        if importlib.util.find_spec(package) is None:
            raise MissingDependency(package, "loading networks of other projects", "spandrel")
    prepare_torchvision()
    return importlib.import_module("spandrel")
