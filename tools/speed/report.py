"""The results of ``tools.speed``: rows, their printed table and their JSON document.

A row is one contender in one cell, with the figures of every round. A ratio is the seconds of ``plain`` divided by the
seconds of the contender in the same round. Above 1 the contender is faster than the literal network.
"""

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from diffir.files import write_atomically
from tools.speed.machine import Machine
from tools.speed.plan import Cell, Plan
from tools.speed.turns import Spread

HEAD = (
    f"{'contender':12}{'seconds':27}{'times plain':21}{'images/s':>9}"
    f"{'GFLOP/s':>9}{'of mm':>7}{'page faults':>13}{'error':>9}{'MB':>7}"
)


@dataclass(frozen=True)
class Row:
    """The measurements of one contender in one cell."""

    contender: str
    cell: Cell
    seconds: list[float]
    page_faults: list[int]
    ratios: list[float]
    """Seconds of ``plain`` divided by these seconds, per round; empty if ``plain`` did not run."""
    gflop: float
    """The work of one call, counted on the literal network."""
    ceiling: float
    """GFLOP/s of the fastest matrix product in the precision of the row."""
    relative_error: float
    """The largest difference from the literal network in fp64, relative to its largest value."""
    peak_megabytes: float | None
    load: float
    """The load average of the last minute, the benchmark itself included."""

    @property
    def time(self) -> Spread:
        return Spread.of(self.seconds)

    @property
    def ratio(self) -> Spread | None:
        return Spread.of(self.ratios) if self.ratios else None

    @property
    def gflop_per_second(self) -> float:
        return self.gflop / self.time.median

    @property
    def images_per_second(self) -> float:
        return self.cell.batch / self.time.median

    def figures(self) -> dict[str, Any]:
        """Return all measurements and the figures derived from them, for the JSON document."""
        derived = {"time": asdict(self.time), "ratio": asdict(self.ratio) if self.ratio else None}
        speeds = {"gflop_per_second": self.gflop_per_second, "images_per_second": self.images_per_second}
        return {**asdict(self), **derived, **speeds, "share_of_ceiling": self.gflop_per_second / self.ceiling}

    def line(self) -> str:
        """Return the line of the printed table."""
        time, ratio = f"{self.time:.3f}", f"{self.ratio:.2f}" if self.ratio else ""
        memory = "-" if self.peak_megabytes is None else f"{self.peak_megabytes:.0f}"
        speed, share = self.gflop_per_second, self.gflop_per_second / self.ceiling
        return (
            f"{self.contender:12}{time:27}{ratio:21}{self.images_per_second:9.3f}{speed:9.1f}{share:7.0%}"
            f"{Spread.of(self.page_faults).median:13.0f}{self.relative_error:9.0e}{memory:>7}"
        )


def table(rows: Sequence[Row]) -> str:
    """Return the printed table of one cell."""
    title = f"\n{rows[0].cell}: {rows[0].gflop:.1f} GFLOP"
    return "\n".join([title, HEAD, *(row.line() for row in rows)])


@dataclass(frozen=True)
class Report:
    """The results of one call of the benchmark."""

    command: str
    plan: Plan
    machine: Machine
    left_out: dict[str, str]
    """Contender -> the reason why this machine cannot run it."""
    rows: list[Row] = field(default_factory=list)

    def write(self, path: Path) -> None:
        """Write the JSON document."""
        plan = self.plan
        head = {"command": self.command, "network": str(plan.choice), "work": plan.work, "rounds": plan.rounds}
        head["allocator"] = "tuned" if plan.is_tuned else "default"
        found = {"machine": asdict(self.machine), "left_out": self.left_out}
        document = {**head, **found, "rows": [row.figures() for row in self.rows]}
        with write_atomically(path) as file:
            file.write(json.dumps(document, indent=1).encode())
