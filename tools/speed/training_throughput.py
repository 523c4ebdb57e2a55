"""Measure what the training loop of `diffir train` costs, in images per second, compared with the bare network.

    python -m tools.speed.training_throughput OPTIONS.yml [key=value ...] [--engines torch auto] [--kinds step]

It trains the first stage with the batch size of the option file. "bare" is forward, loss and backward on one batch in
memory. "step" adds clipping, optimiser and moving average. "loop" is the whole of `Trainer.run`: it also reads, crops
and degrades photos and writes the log. They run in turns A B C A B C ... in one process, and the figures are medians.
Ratios are those to the first line, turn by turn.
"""

import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from itertools import islice
from pathlib import Path

from diffir.system import Batch
from diffir.training.checkpoint import Checkpoints
from diffir.training.log import RunLog
from diffir.training.trainer import Intervals
from tools.speed.first_stage import FirstStage, parser_of
from tools.speed.turns import Spread, in_turns

KINDS = ("bare", "step", "loop")


def main() -> None:
    """Read the options, measure, print a line for each engine and kind."""
    parser = parser_of(__doc__)
    parser.add_argument("--engines", nargs="+", default=[""], help="values of train.engine to compare")
    parser.add_argument("--kinds", nargs="+", choices=KINDS, default=list(KINDS), help="what to measure (default: all)")
    parser.add_argument("--turns", type=int, default=7, help="turns of each (default: 7)")
    parser.add_argument("--steps", type=int, default=20, help="steps of a turn (default: 20)")
    parser.add_argument("--cpu_time", action="store_true", help="count seconds of this process, not of the clock")
    args = parser.parse_intermixed_args()
    with tempfile.TemporaryDirectory() as folder:
        calls, images = {}, args.steps
        for engine in args.engines:
            chosen = [f"train.engine={engine}"] if engine else []
            stage = FirstStage.of(args.options, [*args.overrides, *chosen])
            images = args.steps * len(stage.batch.gt)
            works = works_of(stage, args.steps, Path(folder))
            calls |= {f"{engine} {kind}".strip(): works[kind] for kind in args.kinds}
        clock = time.process_time if args.cpu_time else time.perf_counter
        found = in_turns(calls, args.turns, stage.trainer.device.type, clock=clock)
    first = next(iter(found.values())).seconds
    for name, turns in found.items():
        speeds = Spread.of([images / seconds for seconds in turns.seconds])
        ratios = Spread.of([slow / fast for slow, fast in zip(first, turns.seconds, strict=True)])
        print(f"{name:12} {speeds:.2f} images/s, ratio {ratios:.2f}")


def works_of(stage: FirstStage, steps: int, folder: Path) -> dict[str, Callable[[], None]]:
    """Return what runs ``steps`` steps, by kind: bare, step, loop."""
    trainer, ready = stage.trainer, stage.batch
    (noise,) = trainer._noise([ready])

    def bare() -> None:
        for _ in range(steps):
            trainer.network.zero_grad(set_to_none=True)
            next(trainer.stage.losses(ready, trainer.phase, noise)).total.backward()

    def step() -> None:
        for _ in range(steps):
            trainer._learn([ready], folder)

    def loop() -> None:
        trainer.step = 1  # not the first one, which validates
        states, pace = Checkpoints(folder, 1), Intervals(log=10, save=0, validate=0)
        log = RunLog(folder, stage=1, total_iter=steps, first_step=0, use_tb_logger=False)
        with log, suppress(_EnoughError):
            trainer.run(_first(stage.batches, steps), log, states, lambda network, step: {}, pace)

    return {"bare": bare, "step": step, "loop": loop}


class _EnoughError(Exception):
    """Raised by the batches at the end of a turn, to leave the training loop."""


def _first(arriving: Iterator[Batch], steps: int) -> Iterator[Batch]:
    yield from islice(arriving, steps)
    raise _EnoughError


if __name__ == "__main__":
    main()
