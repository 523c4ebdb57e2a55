"""The plan of one call of ``tools.speed``: its flags, checked.

In: the command line. Out: a ``Plan``. Anything that cannot be measured raises a ``UsageError`` before the start.
"""

import argparse
import math
import re
from collections.abc import Sequence
from dataclasses import dataclass
from importlib import util
from pathlib import Path

from diffir.errors import UsageError
from diffir.inference.device import resolve_device
from tools.speed.contenders import CONTENDERS, Work, chosen
from tools.speed.reference import Choice

SIZES = {"restore": ["256x256"], "train": ["128x128"], "growth": [f"{64 << n}x{64 << n}" for n in range(7)]}


@dataclass(frozen=True)
class Cell:
    """A batch of images of one size, measured with a number of threads."""

    batch: int
    height: int
    """Height of lq in pixels."""
    width: int
    """Width of lq in pixels."""
    threads: int

    def __str__(self) -> str:
        return f"{self.batch} x {self.height}x{self.width}, {self.threads} thread{'s' * (self.threads > 1)}"


@dataclass(frozen=True)
class Plan:
    """The settings of one call of the benchmark."""

    choice: Choice
    work: Work
    contenders: tuple[str, ...]
    cells: tuple[Cell, ...]
    rounds: int
    device: str
    is_tuned: bool
    """Whether freed memory is kept, by ``diffir.allocator``."""
    limit: float
    """Seconds after which a contender is not given a larger size."""
    measures_memory: bool
    json: Path | None
    plot: Path | None

    @property
    def is_training(self) -> bool:
        return self.work == "train"


def plan_of(description: str, arguments: Sequence[str] | None) -> Plan:
    """Read the plan from the flags.

    Raises:
        UsageError: a contender, size, device or number cannot be measured, or ``--plot`` lacks matplotlib.
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
        measures_memory=not args.skip_memory,
        json=args.json,
        plot=args.plot,
    )


def _parser(description: str) -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description=description, formatter_class=argparse.RawDescriptionHelpFormatter)
    network = parser.add_mutually_exclusive_group()
    network.add_argument("--task", default="deblur", help="a row of the task table, with random weights")
    network.add_argument("--weights", help="shipped weights or a file, instead of a row")
    work = parser.add_mutually_exclusive_group()
    work.add_argument("--train", action="store_true", help="measure forward, L1 loss and backward of a batch")
    work.add_argument("--growth", action="store_true", help="measure cost against pixels, without the literal network")
    parser.add_argument("--contenders", nargs="+", default=[], metavar="NAME", help=", ".join(CONTENDERS))
    parser.add_argument("--sizes", nargs="+", metavar="HxW", help="sizes of lq in pixels")
    parser.add_argument("--batch", type=int, help="images of a call (default: 1, and 4 with --train)")
    parser.add_argument("--threads", nargs="+", type=int, default=[1], metavar="N")
    parser.add_argument("--rounds", type=int, default=5, help="measured rounds; one more warms up (default: 5)")
    parser.add_argument("--device", default="cpu")
    parser.add_argument(
        "--allocator",
        choices=("tuned", "default"),
        default="tuned",
        help="tuned keeps freed memory; default is that of glibc",
    )
    parser.add_argument("--limit", type=float, default=60.0, help="seconds of an image at which --growth stops")
    parser.add_argument("--skip_memory", action="store_true", help="do not measure peak memory")
    parser.add_argument("--json", type=Path)
    parser.add_argument("--plot", type=Path, metavar="FILE.png")
    return parser


def _size(text: str) -> tuple[int, int]:
    found = re.fullmatch(r"([1-9]\d*)x([1-9]\d*)", text)
    if found is None:
        raise UsageError(f"unknown size {text!r}; a size is height x width in pixels, such as 256x256")
    return int(found[1]), int(found[2])
