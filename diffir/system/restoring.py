"""Protocols of restoring: an engine runs a network on a device, a session restores one batch of photos.

Sides are in pixels of the low-quality image.
"""

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Literal, NoReturn, Protocol

from diffir.errors import UsageError
from diffir.system.facts import Facts

if TYPE_CHECKING:
    import torch
    from torch import Tensor, nn

Precision = Literal["fp32", "bf16", "fp16"]
Write = Callable[[int, "Tensor"], None]
"""Receives the number of the first row and restored rows (B, 3, h, W) float32 of the output."""
OnProgress = Callable[[float], None]
"""Receives the share of the work that is done, above 0 and up to 1."""


class Region(Protocol):
    """A batch of photos of one size, or a rectangle of it, as the network reads it."""

    @property
    def height(self) -> int:
        """Rows, a multiple of ``Facts.multiple_of``."""
        ...

    @property
    def width(self) -> int:
        """Columns, a multiple of ``Facts.multiple_of``."""
        ...

    @property
    def batch(self) -> int:
        """Number of photos."""
        ...

    def rows(self, start: int, stop: int) -> "Tensor":
        """Low-quality rows (B, C, stop - start, width), float32 on the CPU, in [0, 1]."""
        ...


def without_prior(engine: object, *arguments: object, **options: object) -> NoReturn:
    """``estimate_prior`` and ``check_prior`` of engines that estimate nothing of the kind."""
    raise UsageError("this network estimates no prior; priors belong to networks of DiffIR's kind")


class Session(Protocol):
    """One batch of photos while it is restored, region by region."""

    passes: int
    """1; or 2 where statistics of the whole photo are gathered in a first pass over all its tiles."""

    def restore(self, region: Region, write: Write, precision: Precision, on_progress: OnProgress) -> None:
        """Restore a region and hand its rows to ``write``; rows of a first pass are ignored by the caller.

        A region that fails (out of memory, or values that are not finite) may be tried again.
        """
        ...

    def end_first_pass(self) -> None:
        """The first pass is complete; the next call of ``restore`` belongs to the second."""
        ...


class Engine(Protocol):
    """A network on its device, ready to restore. Sides are in pixels of the low-quality image."""

    facts: Facts
    device: "torch.device"
    seed_meaning: str
    """What the seed decides, for tables: "prior seed"."""

    @property
    def network(self) -> "nn.Module":
        """The network, on the device."""
        ...

    @property
    def tile_step(self) -> int:
        """Tiles start at multiples of this."""
        ...

    @property
    def description(self) -> str:
        """How it restores, for tables: "global statistics"."""
        ...

    def to(self, device: "torch.device") -> None:
        """Move the network."""
        ...

    def largest_tile(self, height: int, width: int, batch: int) -> int | None:
        """Side of the largest square tile whose maps fit the free memory; None if the whole photo fits."""
        ...

    def open(self, photos: Region, *, seed: int, prior: "Tensor | None", tile: int | None) -> Session:
        """Begin the restoration of whole photos.

        Args:
            seed: decides every random number.
            prior: a tensor of an earlier ``estimate_prior`` to use instead of the photos' own.
            tile: side of the tiles that will follow; working memory must not exceed that of one tile. None: no tiles.
        """
        ...

    def estimate_prior(self, photos: Region, *, seed: int, tile: int | None) -> "Tensor":
        """What the system estimates once a photo and can reuse for other photos, (B, P).

        Raises:
            UsageError: the system estimates nothing of the kind.
        """
        ...

    def check_prior(self, prior: "Tensor", batch: int, name: str) -> None:
        """Raise UsageError for a tensor that is no prior of this network; ``name`` stands in the message."""
        ...

    def in_use(self, precision: Precision) -> dict[str, Any]:
        """The system's own options as they take effect now, in plain types."""
        ...

    def multiply_adds(self, side: int) -> int:
        """Multiply-adds for one input of side x side pixels."""
        ...
