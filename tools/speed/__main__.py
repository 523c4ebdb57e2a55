"""Measure how fast diffir is, compared with the literal reference network with the same weights.

    python -m tools.speed --sizes 256x256 512x512 --threads 1 2 --json found.json --plot found.png
    python -m tools.speed --weights photo --contenders torch native     # shipped weights, statistics of the photo
    python -m tools.speed --train --sizes 128x128 --batch 4             # forward, L1 loss, backward
    python -m tools.speed --growth --limit 30                           # cost against pixels

plain        tests/systems/diffir/plain_network.py in fp32   plain-bf16   the same network, all of it in bf16
network      diffir's network, called directly
torch        diffir.Restorer through torch, in fp32          torch-bf16   the same in bf16
native       diffir.Restorer, compiled kernels, in fp32      native-bf16  the same in bf16

The contenders run in turns A B C A B C ... in one process. The first round warms up and is dropped.

times plain  seconds of plain divided by seconds of the contender: median, least and greatest over the rounds
GFLOP        the convolutions and matrix products of the literal network
of mm        GFLOP/s as a share of the fastest matrix product of this machine in that precision
page faults  minor page faults of one call, as a median
error        largest difference from the literal network in fp64 at 64x64, relative to the largest value
MB           peak memory above the start, weights included, measured in a separate process

With the tuned allocator no memory goes back to the system, which shows the literal network at its best. The default
allocator is that of glibc, which the users of the literal network have.
"""

import shlex
import sys
from collections.abc import Sequence
from pathlib import Path

if not __package__:  # called as "python tools/speed", which finds only the modules beside this file
    sys.path[0] = str(Path(__file__).resolve().parents[2])

from diffir.allocator import keep_freed_memory
from diffir.errors import DiffIRError, UsageError
from tools.speed.cells import Session
from tools.speed.machine import Machine
from tools.speed.plan import Plan, plan_of
from tools.speed.report import Report, table


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the benchmark; return 0, 1 if measuring failed or 2 if the call is wrong."""
    try:
        plan = plan_of(__doc__ or "", arguments)
        words = sys.argv[1:] if arguments is None else arguments
        measure(plan, shlex.join(["python", "-m", "tools.speed", *words]))
    except DiffIRError as error:
        print(f"speed: {error}", file=sys.stderr)
        return 2 if isinstance(error, UsageError) else 1
    return 0


def measure(plan: Plan, command: str) -> None:
    """Print the table of each cell and save the report after it, so that a stopped call leaves its results."""
    if plan.is_tuned:
        keep_freed_memory(of_any_size=True)
    session = Session(plan)

    # Print what is measured and where.
    report = Report(command, plan, Machine.of(plan.device), session.left_out)
    allocator = "tuned" if plan.is_tuned else "default"
    print(f"{plan.choice}, {plan.work}, {allocator} allocator: {report.machine.cpu}, torch {report.machine.torch}")
    for name, reason in session.left_out.items():
        print(f"{name} is left out: {reason}")

    # Measure, print and save cell by cell.
    for rows in session.cells():
        report.rows.extend(rows)
        print(table(rows), flush=True)
        if plan.json is not None:
            report.write(plan.json)
        if plan.plot is not None:
            from tools.speed.plot import draw

            draw(report, plan.plot)


if __name__ == "__main__":
    sys.exit(main())
