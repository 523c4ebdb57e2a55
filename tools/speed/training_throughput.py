"""Measure what the training loop of `diffir train` costs, in images per second, compared with the bare network.

    python -m tools.speed.training_throughput OPTIONS.yml [key=value ...]

It trains stage 1 with the batch size of the option file. "bare" is forward, loss and backward on one batch in memory.
"step" adds clipping, optimiser and moving average. "loop" is the whole of `Trainer.run`: it also reads, crops and
degrades photos and writes the log. They run in turns A B C A B C ... in one process, and the figures are medians.
"""

import argparse
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from itertools import islice
from pathlib import Path

import torch

from diffir.allocator import keep_freed_memory
from diffir.api import load_config
from diffir.config import RunConfig
from diffir.system import Pair
from diffir.systems import SYSTEMS
from diffir.training.checkpoint import Checkpoints
from diffir.training.early_stopping import EarlyStopping
from diffir.training.log import RunLog
from diffir.training.run import Run
from diffir.training.trainer import Intervals, Trainer

TURNS, STEPS = 7, 20


def main() -> None:
    """Read the options, measure, print a line for each of the three."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("options", type=Path, help="an option file")
    parser.add_argument("overrides", nargs="*", help="key=value, as in diffir train")
    args = parser.parse_args()
    keep_freed_memory()
    endless = [f"train.total_iter={STEPS * (TURNS + 2) * 2}", "train.encoder_iter=0", "train.iters=[]"]
    endless += ["train.gt_sizes=[]", "train.mini_batch_sizes=[]", "stages=[1]"]
    config = load_config(args.options, [*args.overrides, *endless])
    for name, speeds in measure(config).items():
        middle = statistics.median(speeds)
        print(f"{name:5} {middle:7.2f} images/s   (turns {min(speeds):.2f} to {max(speeds):.2f})")


def measure(config: RunConfig) -> dict[str, list[float]]:
    """Return the images per second of each turn, by kind: bare, step, loop."""
    run = Run(config, SYSTEMS[config.system])
    batch, (name,) = config.datasets.train.batch_size_per_gpu, config.run_stages
    stage, learning = run.stage(name), config.stages[name]
    early_stopping = EarlyStopping.from_config(learning, higher_is_better=True)
    trainer = Trainer(stage, learning, early_stopping, number=1, device=run.device, seed=0)
    arriving = iter(run.samples.batches(name, 0, run.processes, pin_memory=run.device.type == "cuda"))
    ready = trainer._on_device(next(arriving))
    (noise,) = trainer._noise([ready])

    def bare() -> None:
        for _ in range(STEPS):
            trainer.network.zero_grad(set_to_none=True)
            next(stage.losses(ready, stage.phases[0], noise)).total.backward()

    with tempfile.TemporaryDirectory() as folder:

        def steps() -> None:
            for _ in range(STEPS):
                trainer._learn([ready], Path(folder))

        def loop() -> None:
            trainer.step = 1  # not the first one, which validates
            states, pace = Checkpoints(Path(folder), 1), Intervals(log=10, save=0, validate=0)
            log = RunLog(Path(folder), stage=1, total_iter=STEPS, first_step=0, use_tb_logger=False)
            with log, suppress(_EnoughError):
                trainer.run(_first(arriving), log, states, lambda network, step: {}, pace)

        return _in_turns({"bare": bare, "step": steps, "loop": loop}, STEPS * batch, run.device)


class _EnoughError(Exception):
    """Raised by the batches at the end of a turn, to leave the training loop."""


def _first(arriving: Iterator[Pair]) -> Iterator[Pair]:
    yield from islice(arriving, STEPS)
    raise _EnoughError


def _in_turns(kinds: dict[str, Callable[[], None]], images: int, device: torch.device) -> dict[str, list[float]]:
    speeds: dict[str, list[float]] = {name: [] for name in kinds}
    for turn in range(TURNS + 1):
        for name, work in kinds.items():
            began = time.perf_counter()
            work()
            if device.type == "cuda":
                torch.cuda.synchronize(device)
            if turn:  # the first one warms up
                speeds[name].append(images / (time.perf_counter() - began))
    return speeds


if __name__ == "__main__":
    main()
