"""The measurements of ``tools.speed``, cell by cell: all contenders at one size with one number of threads.

In: a ``Plan``. Out: rows. A contender that this machine cannot run is left out, with the reason. The error is measured
once, at a small size. Peak memory is measured in a separate process for each contender and cell.
"""

import math
import os
from collections.abc import Iterator
from functools import partial

from diffir.errors import UsageError
from tools.speed.contenders import build, precision_of
from tools.speed.machine import ceiling, thread_number
from tools.speed.memory import peak_megabytes
from tools.speed.plan import Cell, Plan
from tools.speed.reference import Exact, Run, gflop_of, random_photo
from tools.speed.report import Row
from tools.speed.turns import Turns, in_turns

_TRAINING_PASSES = 3  # a backward pass has two matrix products for each one of the forward pass


class Session:
    """A plan with its networks built and their errors measured.

    Attributes:
        left_out: contender -> the reason why this machine cannot run it.
    """

    def __init__(self, plan: Plan) -> None:
        """
        Raises:
            UsageError: the network does not exist, or does not take one of the sizes.
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
                self.runs[name] = build(name, self.network, self.plan.device, is_training=self.plan.is_training)
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
        """Yield the rows of each cell; a contender that exceeded the time limit gets no larger photo."""
        too_slow: dict[tuple[str, int], int] = {}  # (contender, threads) -> pixels at which it exceeded the limit
        for cell in self.plan.cells:
            pixels = cell.height * cell.width
            fast_enough = [name for name in self.runs if pixels < too_slow.get((name, cell.threads), math.inf)]
            if fast_enough:
                rows = self._measure(fast_enough, cell)
                yield rows
                over = [row.contender for row in rows if row.time.greatest > self.plan.limit]
                too_slow |= {(name, cell.threads): pixels for name in over}

    def _measure(self, contenders: list[str], cell: Cell) -> list[Row]:
        plan = self.plan
        # Time all contenders in turns.
        lq = random_photo(cell.batch, cell.height, cell.width, plan.device)
        calls = {name: partial(self.runs[name], lq) for name in contenders}
        with thread_number(cell.threads):
            found = in_turns(calls, plan.rounds, plan.device, plan.limit)
        load, plain = os.getloadavg()[0], found.get("plain")

        # Add what does not depend on the turns: work, ceiling, error, memory.
        forward = gflop_of(self.network, tuple(lq.shape))

        def row(name: str, turns: Turns) -> Row:
            return Row(
                contender=name,
                cell=cell,
                seconds=turns.seconds,
                page_faults=turns.page_faults,
                ratios=[] if plain is None else _ratios(plain.seconds, turns.seconds),
                gflop=forward * _TRAINING_PASSES if plan.is_training else forward,
                ceiling=ceiling(plan.device, precision_of(name), cell.threads),
                relative_error=self.errors[name],
                peak_megabytes=peak_megabytes(plan, name, cell) if plan.measures_memory else None,
                load=load,
            )

        return [row(name, turns) for name, turns in found.items()]


def _ratios(plain: list[float], own: list[float]) -> list[float]:
    """Seconds of ``plain`` divided by seconds of the contender, round by round."""
    return [slow / fast for slow, fast in zip(plain, own, strict=True)]
