"""What ``tools/benchmark.py`` measures, cell by cell: all contenders at one size with one number of threads.

In: a ``Plan``. Out: rows. A contender that this machine cannot run is left out, with the reason. The error is taken
once, at a small size; memory in a process for each contender and cell.
"""

import math
import os
from collections.abc import Iterator
from functools import partial

from benchmark_contenders import built, precision_of
from benchmark_machine import ceiling, thread_number
from benchmark_memory import peak_megabytes
from benchmark_plan import Cell, Plan
from benchmark_reference import Exact, Run, gflop_of, some_photo
from benchmark_report import Row
from benchmark_turns import Turns, in_turns

from diffir.errors import UsageError

_PASSES_TO_LEARN = 3  # a backward pass is two products where the forward pass is one


class Session:
    """A plan made ready: networks built, errors taken.

    Attributes:
        left_out: contender -> why this machine cannot run it.
    """

    def __init__(self, plan: Plan) -> None:
        """
        Raises:
            UsageError: no such network, or a size that it does not take.
        """
        self.plan = plan
        self.network = plan.choice.open()
        self._check_sizes()
        self.runs: dict[str, Run] = {}
        self.errors: dict[str, float] = {}
        self.left_out: dict[str, str] = {}
        with thread_number(plan.cells[0].threads):
            self._build()

    def _build(self) -> None:
        exact = Exact(self.network)
        for name in self.plan.contenders:
            try:
                self.runs[name] = built(name, self.network, self.plan.device, learns=self.plan.learns)
                self.errors[name] = exact.relative_error(self.runs[name], self.plan.device)
            except UsageError as reason:
                self.left_out[name] = str(reason)

    def _check_sizes(self) -> None:
        multiple = self.network.settings.multiple_of
        for cell in self.plan.cells:
            if cell.height % multiple or cell.width % multiple:
                given = f"size {cell.height}x{cell.width}"
                raise UsageError(f"{given}: sides must be multiples of {multiple} for {self.plan.choice}")

    def cells(self) -> Iterator[list[Row]]:
        """The rows of each cell, as soon as they are there; what took too long is not given a larger photo."""
        too_slow: dict[tuple[str, int], int] = {}  # by contender and threads: the pixels
        for cell in self.plan.cells:
            pixels = cell.height * cell.width
            going = [name for name in self.runs if pixels < too_slow.get((name, cell.threads), math.inf)]
            if going:
                rows = self._measured(going, cell)
                yield rows
                over = [row.contender for row in rows if row.time.greatest > self.plan.limit]
                too_slow |= {(name, cell.threads): pixels for name in over}

    def _measured(self, contenders: list[str], cell: Cell) -> list[Row]:
        plan = self.plan
        lq = some_photo(cell.batch, cell.height, cell.width, plan.device)
        calls = {name: partial(self.runs[name], lq) for name in contenders}
        with thread_number(cell.threads):
            found = in_turns(calls, plan.rounds, plan.device, plan.limit)
        load, plain = os.getloadavg()[0], found.get("plain")
        forward = gflop_of(self.network, tuple(lq.shape))

        def row(name: str, turns: Turns) -> Row:
            return Row(
                contender=name,
                cell=cell,
                seconds=turns.seconds,
                page_faults=turns.page_faults,
                ratios=[] if plain is None else _ratios(plain.seconds, turns.seconds),
                gflop=forward * _PASSES_TO_LEARN if plan.learns else forward,
                ceiling=ceiling(plan.device, precision_of(name), cell.threads),
                relative_error=self.errors[name],
                peak_megabytes=peak_megabytes(plan, name, cell) if plan.weighs_memory else None,
                load=load,
            )

        return [row(name, turns) for name, turns in found.items()]


def _ratios(plain: list[float], own: list[float]) -> list[float]:
    return [slow / fast for slow, fast in zip(plain, own, strict=True)]
