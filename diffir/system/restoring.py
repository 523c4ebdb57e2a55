"""Protocols for restoration: an engine runs a network on a device, and a session restores one batch of photos.

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
"""Called as ``write(top, rows)``: restored rows (B, 3, h, W), float32, which begin at row ``top`` of the output."""
OnProgress = Callable[[float], None]
"""Receives the fraction of the work that is done, above 0 and up to 1."""


class Region(Protocol):
    """A batch of photos of one size, or one rectangle of each, in the form that the network reads."""

    @property
    def height(self) -> int:
        """Number of rows, a multiple of ``Facts.multiple_of``."""
        ...

    @property
    def width(self) -> int:
        """Number of columns, a multiple of ``Facts.multiple_of``."""
        ...

    @property
    def batch(self) -> int:
        """Number of photos in the batch."""
        ...

    @property
    def top(self) -> int:
        """Row of the photo at which the region begins."""
        ...

    @property
    def left(self) -> int:
        """Column of the photo at which the region begins."""
        ...

    def rows(self, start: int, stop: int) -> "Tensor":
        """Rows of the low-quality images: (B, C, stop - start, width), float32 on the CPU, in [0, 1]."""
        ...


def without_prior(engine: object, *arguments: object, **options: object) -> NoReturn:
    """Implement ``estimate_prior`` and ``check_prior`` for engines whose networks have no prior: raise UsageError."""
    raise UsageError("this network has no prior")


class Session(Protocol):
    """The state of one batch of photos while it is restored region by region."""

    passes: int
    """1 normally; with tiles it may be 2: a first pass over all tiles gathers statistics of the whole photo."""

    def restore(self, region: Region, write: Write, precision: Precision, on_progress: OnProgress) -> None:
        """Restore a region and pass its rows to ``write``; the caller ignores the rows of a first pass.

        The caller may repeat a region that failed because memory ran out or because values were not finite. So random
        numbers must depend on the seed and on the place of the region alone, not on earlier calls.
        """
        ...

    def end_first_pass(self) -> None:
        """Finish the first pass; the next call of ``restore`` begins the second."""
        ...


class Engine(Protocol):
    """A network on its device, ready to restore photos. Sides are in pixels of the low-quality image.

    An engine can be copied and pickled, so that a worker process can get a restorer. ``__getstate__`` leaves out what
    belongs to one process, such as handles of compiled libraries, and the copy makes it again when it needs it.
    """

    facts: Facts
    device: "torch.device"
    seed_meaning: str
    """Name of the seed in tables, such as "prior seed"; empty if nothing is drawn at random."""
    has_prior: bool
    """True if the network estimates a prior for each photo."""
    least_overlap: int
    """Pixels that neighbouring tiles must share at least; users may choose more."""

    @property
    def network(self) -> "nn.Module":
        """The network; the caller moves it to ``device`` by ``to`` before the first photo."""
        ...

    @property
    def tile_step(self) -> int:
        """Tiles start at multiples of this number of pixels, itself a multiple of ``Facts.multiple_of``."""
        ...

    @property
    def description(self) -> str:
        """Short description of the way of restoring for tables, such as "global statistics"."""
        ...

    def to(self, device: "torch.device") -> None:
        """Move the network to another device."""
        ...

    def largest_tile(self, height: int, width: int, batch: int) -> int | None:
        """Side of the largest square tile whose feature maps fit into free memory; None if the whole photo fits."""
        ...

    def open(
        self, photos: Region, *, seed: int, prior: "Tensor | None", tile: int | None, precision: Precision
    ) -> Session:
        """Begin to restore whole photos. Long work belongs into ``Session.restore``, which reports its progress.

        Args:
            seed: determines every random number; a photo of a batch gets the numbers that it would get alone.
            prior: result of an earlier ``estimate_prior``, to use instead of estimating the prior of these photos.
            tile: side of the tiles that will be restored; working memory, here too, must not exceed that of one tile.
                None means that the photos are restored whole.
            precision: of the work that is done here.
        """
        ...

    def estimate_prior(self, photos: Region, *, seed: int, tile: int | None) -> "Tensor":
        """The prior (B, P) of whole photos: a vector per photo that ``open`` accepts for other photos, too.

        Raises:
            UsageError: the system has no prior.
        """
        ...

    def check_prior(self, prior: "Tensor", batch: int, name: str) -> None:
        """Raise UsageError unless ``prior`` fits the network and the batch size; ``name`` is used in the message."""
        ...

    def in_use(self, precision: Precision) -> dict[str, Any]:
        """The options of this system with the values that take effect now, in plain types."""
        ...

    def multiply_adds(self, side: int) -> int:
        """Number of multiply-adds for one input of side x side pixels."""
        ...
