"""How fast diffir is beside the literal reference network, with the same weights.

    python tools/benchmark.py --sizes 256x256 512x512 --threads 1 2 --json found.json --plot found.png
    python tools/benchmark.py --weights photo --contenders torch native     # shipped weights, statistics of the photo
    python tools/benchmark.py --train --sizes 128x128 --batch 4             # forward, L1 loss, backward
    python tools/benchmark.py --growth --limit 30                           # cost against pixels

plain        tests/systems/diffir/plain_network.py in fp32        plain-bf16   the same network, all of it in bf16
network      diffir's network, called as it is
torch        diffir.Restorer through torch, in fp32      torch-bf16   the same in bf16
native       diffir.Restorer, compiled kernels, in fp32  native-bf16  the same in bf16

Measured in turns A B C A B C ... in one process; the first round warms up and is dropped. "times plain" is the median,
least and greatest over rounds of seconds of plain by seconds of the contender. GFLOP are the convolutions and matrix
products of the literal network, "of mm" their rate beside the fastest matrix product of this machine in that precision.
Page faults are minor ones of a call, as a median. The error is the largest one against the literal network in fp64 at
64x64, relative to the largest value. With the tuned allocator no memory goes back to the system, so that the literal
network is at its best; default is glibc's own, which its users have. MB is the peak above the start, weights included,
in a process of its own.
"""

import shlex
import sys
from collections.abc import Sequence

from benchmark_cells import Session
from benchmark_machine import Machine
from benchmark_plan import Plan, plan_of
from benchmark_report import Report, table

from diffir.allocator import keep_freed_memory
from diffir.errors import DiffIRError, UsageError


def main(arguments: Sequence[str] | None = None) -> int:
    """Exit code: 0, 1 where measuring failed, 2 where the call is wrong."""
    try:
        plan = plan_of(__doc__ or "", arguments)
        words = sys.argv[1:] if arguments is None else arguments
        measure(plan, shlex.join(["python", "tools/benchmark.py", *words]))
    except DiffIRError as error:
        print(f"benchmark: {error}", file=sys.stderr)
        return 2 if isinstance(error, UsageError) else 1
    return 0


def measure(plan: Plan, command: str) -> None:
    """Print, and keep after every cell, so that a stopped call leaves what it has."""
    if plan.is_tuned:
        keep_freed_memory(of_any_size=True)
    session = Session(plan)
    report = Report(command, plan, Machine.of(plan.device), session.left_out)
    allocator = "tuned" if plan.is_tuned else "default"
    print(f"{plan.choice}, {plan.work}, {allocator} allocator: {report.machine.cpu}, torch {report.machine.torch}")
    for name, reason in session.left_out.items():
        print(f"{name} is left out: {reason}")
    for rows in session.cells():
        report.rows.extend(rows)
        print(table(rows), flush=True)
        if plan.json is not None:
            report.write(plan.json)
        if plan.plot is not None:
            from benchmark_plot import draw

            draw(report, plan.plot)


if __name__ == "__main__":
    sys.exit(main())
