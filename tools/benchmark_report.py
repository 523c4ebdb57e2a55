"""What ``tools/benchmark.py`` found: rows, their table for people and their JSON for programs.

A row is one contender in one cell, with every figure per round. Ratios are seconds of ``plain`` over seconds of the
contender in the same round: above 1 is faster than the literal network.
"""

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from benchmark_machine import Machine
from benchmark_plan import Cell, Plan
from benchmark_turns import Spread

from diffir.files import write_atomically

HEAD = (
    f"{'contender':12}{'seconds':27}{'times plain':21}{'images/s':>9}"
    f"{'GFLOP/s':>9}{'of mm':>7}{'page faults':>13}{'error':>9}{'MB':>7}"
)


@dataclass(frozen=True)
class Row:
    """One contender in one cell."""

    contender: str
    cell: Cell
    seconds: list[float]
    page_faults: list[int]
    ratios: list[float]
    """Empty where ``plain`` did not run."""
    gflop: float
    """Of one call, as the literal network states it."""
    ceiling: float
    """GFLOP/s of the fastest matrix product in the precision of the row."""
    relative_error: float
    """The largest, against the literal network in fp64."""
    peak_megabytes: float | None
    load: float
    """Processes that wanted a core in the last minute, the benchmark itself included."""

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
        """Everything, and what follows from it."""
        derived = {"time": asdict(self.time), "ratio": asdict(self.ratio) if self.ratio else None}
        speeds = {"gflop_per_second": self.gflop_per_second, "images_per_second": self.images_per_second}
        return {**asdict(self), **derived, **speeds, "share_of_ceiling": self.gflop_per_second / self.ceiling}

    def line(self) -> str:
        """For the table."""
        time, ratio = f"{self.time:.3f}", f"{self.ratio:.2f}" if self.ratio else ""
        memory = "-" if self.peak_megabytes is None else f"{self.peak_megabytes:.0f}"
        speed, share = self.gflop_per_second, self.gflop_per_second / self.ceiling
        return (
            f"{self.contender:12}{time:27}{ratio:21}{self.images_per_second:9.3f}{speed:9.1f}{share:7.0%}"
            f"{Spread.of(self.page_faults).median:13.0f}{self.relative_error:9.0e}{memory:>7}"
        )


def table(rows: Sequence[Row]) -> str:
    """Rows of one cell."""
    title = f"\n{rows[0].cell}: {rows[0].gflop:.1f} GFLOP"
    return "\n".join([title, HEAD, *(row.line() for row in rows)])


@dataclass(frozen=True)
class Report:
    """A whole call."""

    command: str
    plan: Plan
    machine: Machine
    left_out: dict[str, str]
    """Contender -> why this machine cannot run it."""
    rows: list[Row] = field(default_factory=list)

    def write(self, path: Path) -> None:
        """As JSON."""
        plan = self.plan
        head = {"command": self.command, "network": str(plan.choice), "work": plan.work, "rounds": plan.rounds}
        head["allocator"] = "tuned" if plan.is_tuned else "default"
        found = {"machine": asdict(self.machine), "left_out": self.left_out}
        document = {**head, **found, "rows": [row.figures() for row in self.rows]}
        with write_atomically(path) as file:
            file.write(json.dumps(document, indent=1).encode())
