"""Networks of other projects, so that a user can compare with what they use today.

In: a weights file of any architecture that the optional package ``spandrel`` knows; out: a method with the same
``restore`` as every other. The file is read by our own reader, which runs nothing in it: spandrel's says of itself that
it does not rule that out, and starts TorchScript programs. fp32, the whole image in one piece, so no tile shows.
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

# What building a network raises when keys looked like an architecture and shapes then were not of it.
_NOT_OF_IT = (RuntimeError, ValueError, TypeError, AttributeError, LookupError, AssertionError)


class Described(Protocol):
    """What spandrel hands out: a network with its facts, which pads to the sizes the network can take."""

    @property
    def model(self) -> nn.Module: ...
    @property
    def scale(self) -> int: ...
    @property
    def input_channels(self) -> int: ...

    def __call__(self, *inputs: Tensor) -> Tensor:
        """(1, C, H, W) in [0, 1], for inpainting with its mask (1, 1, H, W) -> (1, C, scale*H, scale*W)."""
        ...


@dataclass(frozen=True)
class ForeignMethod:
    """A network of another project."""

    name: str
    architecture: str
    """As spandrel calls it."""
    fingerprint: str
    """Of the file: ``diffir.weights.fingerprint``."""
    has_mask: bool
    described: Described

    @property
    def scale(self) -> int:
        """Side of the output over side of the input."""
        return self.described.scale

    @property
    def module(self) -> nn.Module:
        """The network itself."""
        return self.described.model

    @property
    def parameters(self) -> int:
        """How many numbers it has learnt."""
        return sum(parameter.numel() for parameter in self.module.parameters())

    @torch.inference_mode()
    def restore(self, image: np.ndarray, mask: np.ndarray | None = None) -> np.ndarray:
        """Restore one image.

        Args:
            image: H x W x 3 RGB or H x W x 1 grey (a network for colours then sees three equal channels, and the mean
                of its three comes back): uint8, uint16 or float with white at 1.
            mask: H x W, anything above 0 is a hole; for inpainting networks only, and required there.
        Returns:
            The same kind, sides times ``scale``; floats in [0, 1], known pixels of inpainting as they were.
        Raises:
            UsageError: a mask too many or none where one is needed.
            ImageError: colours for a grey network, or a mask of another size.
        """
        if self.has_mask != (mask is not None):
            reason = "fills holes: it needs a mask" if self.has_mask else "takes no mask"
            raise UsageError(
                f"{self.name} {reason}; masks are for inpainting networks, above 0 where pixels are missing"
            )
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
        holes = self._tensor((mask > 0)[:, :, None].astype(np.float32))
        known = (1 - holes) * lq
        return known + holes * self.described(known, holes)

    def _tensor(self, image: np.ndarray) -> Tensor:
        pixels = torch.from_numpy(np.ascontiguousarray(to_float(image), np.float32))
        return rearrange(pixels, "h w c -> 1 c h w").to(next(self.module.parameters()).device)


def load_foreign(path: str | Path, *, device: torch.device | str = "cpu") -> ForeignMethod:
    """The network in a file, recognised by spandrel from its tensors.

    Args:
        path: .pth, .pt, .ckpt or .safetensors.
        device: where it runs.

    Raises:
        MissingDependency: spandrel is not installed.
        UsageError: no such file, no architecture that spandrel knows, or neither RGB nor grey.
        WeightsError: not a checkpoint, cut short, or one that cannot be read without running code from it.
    """
    path = Path(path)
    spandrel = _load_spandrel()
    described = _recognise(spandrel, path)
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
    """spandrel's descriptor of the network in the file."""
    state = read_checkpoint(path)
    try:
        return spandrel.ModelLoader().load_from_state_dict(state)
    except spandrel.UnsupportedModelError as error:
        raise UsageError(
            f"{path} holds no network that spandrel {spandrel.__version__} knows; "
            "https://github.com/chaiNNer-org/spandrel lists them"
        ) from error
    except _NOT_OF_IT as error:
        reason = next(iter(str(error).splitlines()), type(error).__name__)
        raise UsageError(f"{path} resembles a network that spandrel knows, but is none ({reason})") from error


def _load_spandrel() -> ModuleType:
    for package in ("spandrel", "torchvision"):
        if importlib.util.find_spec(package) is None:
            raise MissingDependency(package, "loading networks of other projects", "spandrel")
    prepare_torchvision()
    return importlib.import_module("spandrel")
