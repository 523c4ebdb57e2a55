"""What one call of ``tools/benchmark.py`` measures: its flags, checked, as a plan.

In: the command line. Out: a ``Plan``; whatever cannot be measured is one clear ``UsageError`` before anything starts.
"""

import argparse
import math
import re
from collections.abc import Sequence
from dataclasses import dataclass
from importlib import util
from pathlib import Path

from benchmark_contenders import CONTENDERS, Work, chosen
from benchmark_reference import Choice

from diffir.errors import UsageError
from diffir.inference.device import resolve_device

SIZES = {"restore": ["256x256"], "train": ["128x128"], "growth": [f"{64 << n}x{64 << n}" for n in range(7)]}


@dataclass(frozen=True)
class Cell:
    """A batch of one size, with a number of threads."""

    batch: int
    height: int
    """Of lq in pixels."""
    width: int
    threads: int

    def __str__(self) -> str:
        return f"{self.batch} x {self.height}x{self.width}, {self.threads} thread{'s' * (self.threads > 1)}"


@dataclass(frozen=True)
class Plan:
    """One call of the benchmark."""

    choice: Choice
    work: Work
    contenders: tuple[str, ...]
    cells: tuple[Cell, ...]
    rounds: int
    device: str
    is_tuned: bool
    """Whether freed memory is kept: ``diffir.allocator``."""
    limit: float
    """Seconds; a contender that takes longer is not given a larger size."""
    weighs_memory: bool
    json: Path | None
    plot: Path | None

    @property
    def learns(self) -> bool:
        return self.work == "train"


def plan_of(description: str, arguments: Sequence[str] | None) -> Plan:
    """From flags.

    Raises:
        UsageError: a contender, size, device or number that cannot be measured, or no matplotlib for ``--plot``.
    """
    args = _parser(description).parse_args(arguments)
    work = "train" if args.train else "growth" if args.growth else "restore"
    if min(args.rounds, *args.threads, args.batch or 1) < 1:
        raise UsageError("--rounds, --threads and --batch must be 1 or more")
    if args.plot is not None and util.find_spec("matplotlib") is None:
        raise UsageError("--plot needs the package 'matplotlib': pip install matplotlib")
    sizes, batch = [_size(text) for text in args.sizes or SIZES[work]], args.batch or (4 if work == "train" else 1)
    return Plan(
        choice=Choice(args.task, args.weights),
        work=work,
        contenders=chosen(args.contenders, work),
        cells=tuple(Cell(batch, *size, threads) for threads in args.threads for size in sizes),
        rounds=args.rounds,
        device=str(resolve_device(args.device)),
        is_tuned=args.allocator == "tuned",
        limit=args.limit if work == "growth" else math.inf,
        weighs_memory=not args.skip_memory,
        json=args.json,
        plot=args.plot,
    )


def _parser(description: str) -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description=description, formatter_class=argparse.RawDescriptionHelpFormatter)
    network = parser.add_mutually_exclusive_group()
    network.add_argument("--task", default="deblur", help="a row of the task table, with random weights")
    network.add_argument("--weights", help="shipped weights or a file, instead of a row")
    work = parser.add_mutually_exclusive_group()
    work.add_argument("--train", action="store_true", help="forward, L1 loss and backward of a batch, instead")
    work.add_argument("--growth", action="store_true", help="cost against pixels, ours alone, instead")
    parser.add_argument("--contenders", nargs="+", default=[], metavar="NAME", help=", ".join(CONTENDERS))
    parser.add_argument("--sizes", nargs="+", metavar="HxW", help="of lq in pixels")
    parser.add_argument("--batch", type=int, help="images of a call: 1, and 4 with --train")
    parser.add_argument("--threads", nargs="+", type=int, default=[1], metavar="N")
    parser.add_argument("--rounds", type=int, default=5, help="that count; one more warms up")
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--allocator", choices=("tuned", "default"), default="tuned", help="default: as glibc comes")
    parser.add_argument("--limit", type=float, default=60.0, help="seconds of an image at which --growth stops")
    parser.add_argument("--skip_memory", action="store_true", help="no process for each peak of memory")
    parser.add_argument("--json", type=Path)
    parser.add_argument("--plot", type=Path, metavar="FILE.png")
    return parser


def _size(text: str) -> tuple[int, int]:
    found = re.fullmatch(r"([1-9]\d*)x([1-9]\d*)", text)
    if found is None:
        raise UsageError(f"unknown size {text!r}; a size is height x width in pixels, such as 256x256")
    return int(found[1]), int(found[2])
