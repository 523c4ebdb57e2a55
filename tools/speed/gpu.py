"""Measure diffir on an NVIDIA card in ten minutes: facts, equality, restoring, training, latent diffusion, compiling.

    python -m tools.speed.gpu --json gpu.json                   # on the card, from the root of the repository
    python -m tools.speed.gpu --device cpu --side 32 --batches 1 --rounds 1 --steps 1 --training_batches 1 \
        --rows denoise_tiny --networks denoise ldm_sr_x4 --only facts equality restoring training latent   # a trial

facts      card, driver, versions, fastest matrix product in fp32, tf32 and bf16, speed of a copy
equality   every shipped network: fp32 on the card against the CPU (must pass), bf16 against fp32 (reported)
restoring  the literal network operator by operator (eager), diffir's network, its engines torch and triton from the
           card to the card, and the call of users from main memory to main memory (restorer), in turns
training   images a second of the first stage of two option files, of the steps alone and of the whole loop
latent     seconds of ldm_sr_x4
compiled   torch.compile of diffir's network, and with CUDA graphs (reduce-overhead), in turns with eager

Names that end in -bf16 compute in bf16. The columns of restoring and compiled:

x eager             how many times as fast as eager, as a median over the turns; x eager-bf16 likewise
of peak             multiply-adds of the literal network as a share of the fastest matrix product in that precision
of copy             bytes that operators read and write as a share of the speed of a copy. ``tools.speed.traffic`` says
                    what this estimate leaves out.
MB                  peak memory on the card above the start
differs             largest difference from eager in fp32 for a photo of random numbers
first, s            seconds of building and of the first call, which compiles

Compiling comes last, since it takes minutes. Each part is printed and saved as soon as it is known. After --minutes no
part is begun, and those that were not run are named. The exit code is 1 if a part failed or results differ.

To run the tests that need a card, too: ``python -m pytest -m gpu``
"""

import argparse
import gc
import json
import shlex
import sys
import time
import traceback
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import torch

if not __package__:  # called as "python tools/speed/gpu.py", which finds only the modules beside this file
    sys.path[0] = str(Path(__file__).resolve().parents[2])

from diffir.errors import UsageError
from diffir.files import write_atomically
from diffir.inference.device import resolve_device
from diffir.near_names import meant
from diffir.systems import SYSTEMS
from diffir.systems.diffir.tasks import get_task
from diffir.weights.catalogue import catalogue
from tools.speed import gpu_parts as parts
from tools.speed.gpu_contenders import MODES
from tools.speed.gpu_parts import Found, Sizes
from tools.speed.machine import has_fast_bf16
from tools.speed.reference import Choice

GROUPS = ("facts", "equality", "restoring", "training", "latent", "compiled")
ROWS = {
    "denoise": Choice("denoise", "denoise"),
    "sr_x4": Choice("sr_x4", "sr_x4"),
    "deblur": Choice("deblur"),
}  # two shipped networks, and a row of the released size with random weights
OPTIONS = ("denoise/small.yml", "sr_x4/small.yml")
TESTS = "python -m pytest -m gpu"


@dataclass(frozen=True)
class Part:
    """Something to measure, which takes seconds, or minutes if it compiles."""

    group: str
    name: str
    run: Callable[[], Found]

    def __str__(self) -> str:
        return f"{self.group}: {self.name}" if self.name else self.group


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure; return 0, 1 if a part failed or results differ, or 2 if the call is wrong."""
    start = time.monotonic()
    args = _parser().parse_args(arguments)
    try:
        sizes, planned = _plan(args, start + 60 * args.minutes)
    except UsageError as error:
        print(f"gpu: {error}", file=sys.stderr)
        return 2
    torch.set_float32_matmul_precision("highest")  # some containers of NVIDIA allow TF32 by default
    words = sys.argv[1:] if arguments is None else arguments
    document = {"command": shlex.join(["python", "-m", "tools.speed.gpu", *words]), "tolerance": parts.TOLERANCE}
    is_right = run_parts(planned, document, args.json, sizes.deadline)
    if torch.device(sizes.device).type == "cuda":
        print(f"\nThe tests that need a card: {TESTS}")
    return 0 if is_right else 1


def run_parts(
    planned: Sequence[Part],
    document: dict[str, Any],
    path: Path | None,
    deadline: float,
    clock: Callable[[], float] = time.monotonic,
) -> bool:
    """Run parts until the deadline, and print and save each one; return whether all that ran is right.

    Args:
        document: gets the rows of each group, and the names of parts that failed and that were not run.
        deadline: reading of ``clock`` after which no part is begun.
    """
    document |= {group: [] for group in GROUPS} | {"failed": {}, "not_run": []}
    is_right, group = True, ""
    for part in planned:
        if clock() >= deadline:
            document["not_run"].append(str(part))
            continue
        if part.group != group:
            group = part.group
            print(f"\n{group}", flush=True)
        try:
            found = part.run()
        except Exception as error:  # noqa: BLE001 - it is reported, and the other parts go on
            traceback.print_exc()
            found = Found([f"{part} failed"], [], is_right=False)
            document["failed"][str(part)] = f"{type(error).__name__}: {error}"
        print("\n".join(found.lines), flush=True)
        document[group] += found.rows
        is_right = is_right and found.is_right
        _save(document, path)
        _free_memory()
    if document["not_run"]:
        print(f"\nthe time is over; not run: {', '.join(document['not_run'])}", flush=True)
    _save(document, path)
    return is_right


def _plan(args: argparse.Namespace, deadline: float) -> tuple[Sizes, list[Part]]:
    if min(args.rounds, args.steps, *args.batches, *args.training_batches) < 1:
        raise UsageError("--rounds, --steps and the numbers of photos must be 1 or more")
    if args.side < 32 or args.side % 32 or args.side > 256:
        raise UsageError(f"--side must be a multiple of 32 from 32 to 256, got {args.side}")
    device = resolve_device(args.device)
    if device.type not in ("cuda", "cpu"):
        raise UsageError(f"this measures CUDA cards, and CPUs for a trial, not {device}")
    if device.type == "cuda" and device.index is not None:
        torch.cuda.set_device(device)
    precisions = tuple(args.precisions or (("fp32", "bf16") if has_fast_bf16(str(device)) else ("fp32",)))
    amounts = {"rounds": args.rounds, "steps": args.steps, "turn_seconds": args.turn_seconds}
    sizes = Sizes(str(device), precisions, args.side, tuple(args.batches), **amounts, deadline=deadline)
    shipped = [name for name, entry in catalogue(SYSTEMS).items() if entry.shipped]
    for name in args.networks:
        if name not in shipped:
            raise UsageError(f"unknown network {name!r}; {meant(name, shipped)}")
    rows = {name: ROWS[name] if name in ROWS else Choice(get_task(name).name) for name in args.rows}
    everything = _parts(sizes, args.networks or shipped, rows, args.training_batches)
    return sizes, [part for part in everything if part.group in args.only]


def _parts(
    sizes: Sizes, networks: Sequence[str], rows: dict[str, Choice], training_batches: Sequence[int]
) -> Iterator[Part]:
    """Yield all parts in their order; in each group the quick ones come first."""
    yield Part("facts", "", partial(parts.facts, sizes))
    for network in networks:
        yield Part("equality", network, partial(parts.equality, network, sizes))
    for batch in sizes.batches:
        for name, choice in rows.items():
            yield Part("restoring", f"{name}, batch {batch}", partial(parts.restoring, choice, batch, sizes))
    for batch in training_batches:
        for options in OPTIONS:
            yield Part("training", f"{options}, batch {batch}", partial(parts.training, options, batch, sizes))
    yield Part("latent", "", partial(parts.latent_diffusion, sizes))
    for batch in sizes.batches:
        for name, choice in rows.items():
            for way in MODES:
                label = f"{name}, batch {batch}, {way}"
                yield Part("compiled", label, partial(parts.compiling, choice, batch, way, sizes))


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--device", default="cuda", help="cuda, cuda:N, or cpu to try the script (default: cuda)")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write everything that is measured to this file")
    parser.add_argument("--minutes", type=float, default=9.0, help="begin no part after so long (default: 9)")
    parser.add_argument("--only", nargs="+", choices=GROUPS, default=list(GROUPS), help="groups to run (default: all)")
    parser.add_argument(
        "--precisions", nargs="+", choices=("fp32", "bf16"), help="default: those that it has units for"
    )
    parser.add_argument("--side", type=int, default=256, help="pixels a side of the photos (default: 256)")
    parser.add_argument("--batches", nargs="+", type=int, default=[1, 8], help="photos of a call (default: 1 8)")
    parser.add_argument("--rounds", type=int, default=5, help="turns that count (default: 5)")
    parser.add_argument("--steps", type=int, default=10, help="training steps of a turn (default: 10)")
    batches = "patches of a training step: that of the option files, and one for cards (default: 4 32)"
    parser.add_argument("--training_batches", nargs="+", type=int, default=[4, 32], help=batches)
    parser.add_argument("--turn_seconds", type=float, default=0.2, help="least length of a turn (default: 0.2)")
    known = f"{', '.join(ROWS)}, or a row of the task table with random weights"
    parser.add_argument("--rows", nargs="+", default=list(ROWS), metavar="NAME", help=f"what restores: {known}")
    parser.add_argument("--networks", nargs="+", default=[], metavar="NAME", help="shipped networks that are compared")
    return parser


def _save(document: dict[str, Any], path: Path | None) -> None:
    if path is not None:
        with write_atomically(path) as file:
            file.write(json.dumps(document, indent=1).encode())


def _free_memory() -> None:
    """Return what a part left on the card, so that the next one finds all of its memory."""
    if torch.cuda.is_initialized():
        gc.collect()
        torch.cuda.empty_cache()


if __name__ == "__main__":
    sys.exit(main())
