"""Networks of other projects, recognised and built by the optional package spandrel.

In: the tensors of a checkpoint, read by ``diffir.weights``, which executes no code from it; spandrel's own reader does
not guarantee that and runs TorchScript programs. Out: a module that maps RGB to RGB whatever channels the network has,
for inputs of every size.
"""

from collections.abc import Callable, Mapping
from contextlib import suppress
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn

from diffir._spandrel import load_spandrel
from diffir.errors import WeightsError

# Errors of building a network from a file whose names match an architecture but whose shapes do not.
_SHAPE_ERRORS = (RuntimeError, ValueError, TypeError, AttributeError, LookupError, AssertionError)
_CHANNELS = ((1, 1), (2, 2), (3, 3), (4, 4))  # grey, grey and alpha, RGB, RGB and alpha


class SpandrelNetwork(nn.Module):
    """A network as spandrel describes it: (1, 3, h, w), and a mask behind it if it fills holes, to (1, 3, H, W).

    A network for grey restores each channel of a colour photo by itself. Networks with alpha get an opaque image. The
    input is padded where the network needs a larger or a square one.
    """

    def __init__(self, described: Any) -> None:
        """
        Args:
            described: spandrel's descriptor.
        """
        super().__init__()
        self.model: nn.Module = described.model
        self.has_mask = described.purpose == "Inpainting"
        self._described = described

    def __reduce__(self) -> tuple[Any, ...]:
        """Copy and pickle the tensors alone, because descriptors hold functions that cannot be pickled."""
        return _built_again, (self._described.architecture.id, self.model.state_dict())

    @property
    def architecture(self) -> str:
        """Name of the architecture in spandrel."""
        return str(self._described.architecture.name)

    @property
    def scale(self) -> int:
        return int(self._described.scale)

    @property
    def multiple_of(self) -> int:
        """Both sides of the input are multiples of this number."""
        return int(self._described.size_requirements.multiple_of)

    @property
    def precisions(self) -> tuple[str, ...]:
        """The precisions that spandrel states for the network."""
        half = {"bf16": self._described.supports_bfloat16, "fp16": self._described.supports_half}
        return ("fp32", *(name for name, is_supported in half.items() if is_supported))

    @property
    def reach(self) -> int | None:
        """Pixels of the input to each side that a pixel of the output depends on; None where it is not known."""
        kernels = [module for module in self.model.modules() if isinstance(module, nn.Conv2d)]
        if self._described.architecture.id not in _CHAINS:
            return None
        return sum(module.dilation[0] * (module.kernel_size[0] // 2) for module in kernels)

    def forward(self, lq: Tensor) -> Tensor:
        """Restore lq (1, 3 or 4, h, w) in [0, 1]; the result is in [0, 1]."""
        if self.has_mask:
            return self._described(lq[:, :3], lq[:, 3:])
        channels = self._described.input_channels
        if channels >= 3:
            return self._described(_with_alpha(lq, channels))[:, :3]
        # A grey photo comes as three equal channels, of which one is enough.
        is_grey = torch.equal(lq[:, :1].expand_as(lq), lq)
        planes = lq[:, :1] if is_grey else lq
        restored = [self._described(_with_alpha(plane, channels))[:, :1] for plane in planes.split(1, dim=1)]
        return torch.cat(restored, dim=1).expand(-1, 3, -1, -1)


_CHAINS = ("Compact", "DnCNN")  # architectures that apply one 3x3 convolution after the other and nothing else


def recognised(state: Mapping[str, Tensor], source: str) -> SpandrelNetwork | None:
    """The network with these tensors, float32 on the CPU in eval mode; None if spandrel does not know it.

    Raises:
        MissingDependency: spandrel is not installed.
        WeightsError: the tensors do not fit the architecture that their names suggest, or it restores no photos.
    """
    spandrel = load_spandrel(f"{source}, which holds a network of another project,")
    prefixed = {f"generator.{name}": tensor for name, tensor in state.items()}  # our reader removes it, LaMa has it
    for named in (dict(state), prefixed):
        with suppress(spandrel.UnsupportedModelError):
            return _built(partial(spandrel.MAIN_REGISTRY.load, named), source)
    return None


def _built(load: Callable[[], Any], source: str) -> SpandrelNetwork:
    try:
        described = load()
    except _SHAPE_ERRORS as error:
        reason = next(iter(str(error).splitlines()), type(error).__name__)
        raise WeightsError(f"{source} resembles a network that spandrel knows, but is none ({reason})") from error

    # Colourising networks and networks with unusual inputs restore no photos.
    given, made = described.input_channels, described.output_channels
    if (given, made) not in _CHANNELS:
        raise WeightsError(
            f"{source} holds a network that takes {given} channels and gives {made}: photos are restored by networks "
            "for grey or RGB, with or without alpha"
        )
    return SpandrelNetwork(described).float().eval().requires_grad_(False)


def _with_alpha(image: Tensor, channels: int) -> Tensor:
    """Append an opaque alpha channel if the network takes one."""
    return image if channels in (1, 3) else torch.cat([image, torch.ones_like(image[:, :1])], dim=1)


def _built_again(architecture: str, state: dict[str, Tensor]) -> SpandrelNetwork:
    """Make a copy of a network from its tensors, on their device."""
    known = load_spandrel("a network of another project").MAIN_REGISTRY[architecture].architecture
    return _built(lambda: known.load(state), "a copied network").to(next(iter(state.values())).device)
