"""The rows of ``tools.speed.gpu`` for restoring: one contender with one network and batch, as a line and as JSON."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

from tools.speed.turns import Spread

HEAD = (
    f"  {'contender':22}{'ms a call':31}{'images/s':>9}{'x eager':>9}{'x eager-bf16':>14}"
    f"{'of peak':>9}{'of copy':>9}{'MB':>8}{'differs':>9}{'first, s':>10}"
)


@dataclass(frozen=True)
class Cell:
    """One network with photos of one size and number."""

    network: str
    batch: int
    side: int
    """Pixels a side of lq."""

    def __str__(self) -> str:
        return f"{self.network}, {self.batch} x {self.side} x {self.side}"


@dataclass(frozen=True)
class Speed:
    """The measurements of one contender in one cell."""

    cell: Cell
    contender: str
    seconds: list[float]
    """Seconds of a call, as the mean of each turn."""
    ratios: list[float]
    """Seconds of ``eager`` divided by these, turn by turn; empty if ``eager`` did not run. Above 1 is faster."""
    ratios_bf16: list[float]
    """The same for ``eager-bf16``."""
    first_seconds: float
    """Seconds of building the contender and of its first call."""
    gflop: float
    """The work of a call, counted on the literal network; a multiply-add is two."""
    share_of_matrix_peak: float | None
    """GFLOP/s divided by those of the fastest matrix product in this precision; None without units for it."""
    gigabytes_moved: float | None
    """What the operators of a call read and write (``tools.speed.traffic``); None for compiled networks."""
    share_of_copy_bandwidth: float | None
    peak_megabytes: float | None
    """Largest memory that torch held on the card above the start, in 10^6 bytes; weights, maps and result included."""
    difference: float | None
    """Largest absolute difference from the result of ``eager``."""

    @property
    def images_per_second(self) -> float:
        return self.cell.batch / Spread.of(self.seconds).median

    def figures(self) -> dict[str, Any]:
        """Return all measurements and the figures derived from them, for the JSON document."""
        own = {name: value for name, value in asdict(self).items() if name != "cell"}
        derived = {
            "time": _spread(self.seconds),
            "ratio": _spread(self.ratios),
            "ratio_bf16": _spread(self.ratios_bf16),
        }
        return {**asdict(self.cell), **own, **derived, "images_per_second": self.images_per_second}

    def line(self) -> str:
        """Return the line of the printed table."""
        milliseconds = Spread.of([1e3 * seconds for seconds in self.seconds])
        ratio, ratio_bf16 = (f"{Spread.of(one).median:.2f}" if one else "-" for one in (self.ratios, self.ratios_bf16))
        peak, copied = (
            "-" if share is None else f"{share:.1%}"
            for share in (self.share_of_matrix_peak, self.share_of_copy_bandwidth)
        )
        memory = "-" if self.peak_megabytes is None else f"{self.peak_megabytes:.0f}"
        difference = "-" if self.difference is None else f"{self.difference:.0e}"
        return (
            f"  {self.contender:22}{f'{milliseconds:.2f}':31}{self.images_per_second:9.2f}{ratio:>9}{ratio_bf16:>14}"
            f"{peak:>9}{copied:>9}{memory:>8}{difference:>9}{self.first_seconds:10.1f}"
        )


def _spread(values: Sequence[float]) -> dict[str, float] | None:
    return asdict(Spread.of(values)) if values else None
