"""Drill diffir: damage its files, kill it, close its streams, and count what goes wrong.

    python -m tools.drill --minutes 10 --seed 1         # all drills, in turns
    python -m tools.drill --only photos,weights         # some of them
    python -m tools.drill --only texts --case 17 --seed 1 --keep found      # one case again, and its folder

A case is a function of the seed, the drill and its number. The exit code is 1 if any fault was found, and 0 otherwise;
--keep keeps the folders of cases with faults. docs/reliability.md describes the faults and has the figures.
"""

import argparse
import os
import shutil
import signal
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from random import Random

if not __package__:  # called as "python tools/drill", which finds only the modules beside this file
    sys.path[0] = str(Path(__file__).resolve().parents[2])

from tools.drill.calls import Caller
from tools.drill.damaged_files import DAMAGED, Case
from tools.drill.kills import batches, interrupts, trainings
from tools.drill.material import Material, make_material
from tools.drill.outcome import KINDS, Outcome
from tools.drill.terminals import names, streams

DRILLS: dict[str, Case] = {
    **DAMAGED,
    "names": names,
    "streams": streams,
    "interrupts": interrupts,
    "batches": batches,
    "trainings": trainings,
}
NICE = 10


class Count:
    """The counts of one drill."""

    def __init__(self) -> None:
        self.cases = 0
        self.refused = 0
        self.seconds = 0.0
        self.faults: Counter[str] = Counter()

    def add(self, outcome: Outcome, seconds: float) -> None:
        """Add one case."""
        self.cases += 1
        self.refused += outcome.refused
        self.seconds += seconds
        self.faults.update(kind for kind, _ in outcome.faults)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the drills in turns until the time is over, and print the counts."""
    args = _parser().parse_args(arguments)
    chosen = args.only.split(",") if args.only else list(DRILLS)
    for name in chosen:
        if name not in DRILLS:
            print(f"drill: there is no drill {name}; known: {', '.join(DRILLS)}", file=sys.stderr)
            return 2
    os.nice(NICE)
    counts, caller = {name: Count() for name in chosen}, Caller()
    with tempfile.TemporaryDirectory(prefix="diffir_drill_") as scratch:
        try:
            os.environ["DIFFIR_CACHE"] = f"{scratch}/cache"
            (Path(scratch) / "material").mkdir()
            material = make_material(Path(scratch) / "material", caller)
            if args.case is not None:
                _run_case(chosen[0], args.case, args, Path(scratch), material, caller, counts)
            end = time.monotonic() + 60 * args.minutes if args.case is None else 0
            while time.monotonic() < end:  # the drill that has used the least time is next
                name = min(chosen, key=lambda one: counts[one].seconds)
                _run_case(name, counts[name].cases, args, Path(scratch), material, caller, counts)
        except KeyboardInterrupt:
            print("drill: interrupted")
        finally:
            caller.close()
    _print_counts(counts)
    return 1 if any(count.faults for count in counts.values()) else 0


def _run_case(
    name: str,
    number: int,
    args: argparse.Namespace,
    scratch: Path,
    material: Material,
    caller: Caller,
    counts: dict[str, Count],
) -> None:
    """Run one case in a folder of its own, count its outcome, and print its faults."""
    folder, begun = scratch / f"{name}_{number}", time.monotonic()
    folder.mkdir()
    outcome = DRILLS[name](folder, Random(f"{args.seed} {name} {number}"), material, caller)
    counts[name].add(outcome, time.monotonic() - begun)
    for kind, words in outcome.faults:
        print(f"{kind} in {name}, seed {args.seed}, case {number}: {words!r}", flush=True)
    if outcome.faults and args.keep:
        shutil.copytree(folder, args.keep / f"{name}_{args.seed}_{number}", dirs_exist_ok=True)
    shutil.rmtree(folder)


def _print_counts(counts: dict[str, Count]) -> None:
    print(f"{'drill':<12}{'cases':>8}{'refused':>9}{'minutes':>9}" + "".join(f"{kind:>11}" for kind in KINDS))
    for name, count in counts.items():
        faults = "".join(f"{count.faults[kind]:>11}" for kind in KINDS)
        print(f"{name:<12}{count.cases:>8}{count.refused:>9}{count.seconds / 60:>9.1f}{faults}")
    total = sum(sum(count.faults.values()) for count in counts.values())
    print(f"{sum(count.cases for count in counts.values())} cases, {total} faults")


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m tools.drill", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--minutes", type=float, default=10, help="time for all drills together (default: 10)")
    parser.add_argument("--seed", type=int, default=0, help="seed of all cases (default: 0)")
    parser.add_argument("--only", metavar="NAME[,NAME]", help=f"drills to run: {', '.join(DRILLS)}")
    parser.add_argument("--case", type=int, metavar="N", help="run one case of the first drill alone")
    parser.add_argument("--keep", type=Path, metavar="FOLDER", help="keep the folders of cases with faults")
    return parser


if __name__ == "__main__":
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # ends like Ctrl-C, with the counts so far
    sys.exit(main())
