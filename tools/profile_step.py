"""Print where a training step on the CPU goes: seconds of its parts, then the operators that take most.

    python -m tools.profile_step OPTIONS.yml [key=value ...]

It trains the first stage of the option file with batches of real photos, as `diffir train` does. Seconds are CPU time
of this process, which other programs disturb less than the clock. The operators are those of the profiler of torch,
which adds some time of its own to each.
"""

import statistics
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import torch
from torch.profiler import ProfilerActivity, profile

from diffir.system import Batch
from diffir.training.trainer import Trainer
from tools.speed.first_stage import FirstStage, parser_of

STEPS, WARMUP, PROFILED = 12, 3, 5
MOST_ROWS = 18


def main() -> None:
    """Read the options, run steps, print both tables."""
    args = parser_of(__doc__).parse_args()
    stage = FirstStage.of(args.options, args.overrides)
    print_parts(stage.trainer, stage.batches)
    print_operators(stage.trainer, stage.batch)


def print_parts(trainer: Trainer, batches: Iterator[Batch]) -> None:
    """Run steps part by part, and print the median seconds of each part."""
    seconds: dict[str, list[float]] = {}

    @contextmanager
    def timed(part: str) -> Iterator[None]:
        began = time.process_time()
        yield
        seconds.setdefault(part, []).append(time.process_time() - began)

    ((learner, optimizer),) = trainer._optimizers
    for _ in range(STEPS):
        with timed("data"):
            batch = trainer._on_device(next(batches))
        (noise,) = trainer._noise([batch])
        optimizer.zero_grad(set_to_none=True)
        with timed("forward"), torch.autocast("cpu", torch.bfloat16, enabled=trainer.config.precision == "bf16"):
            losses = next(trainer.stage.losses(batch, trainer.phase, noise))
        with timed("backward"):
            losses.total.backward()
        with timed("clipping"):
            trainer._finished_gradient(learner)
        with timed("optimiser"):
            optimizer.step()
        with timed("moving average"):
            trainer._update_ema()
    middle = {part: statistics.median(found[WARMUP:]) for part, found in seconds.items()}
    whole = sum(middle.values())
    for part, value in middle.items():
        print(f"{part:16} {value:8.4f} s  {value / whole:6.1%}")
    print(f"{'step':16} {whole:8.4f} s, {len(batch.gt) / whole:.2f} images/s")


def print_operators(trainer: Trainer, batch: Batch) -> None:
    """Profile whole steps and print the share of the time that each operator takes itself."""
    with tempfile.TemporaryDirectory() as folder, profile(activities=[ProfilerActivity.CPU]) as profiler:
        for _ in range(PROFILED):
            trainer._learn([batch], Path(folder))
    found = sorted(profiler.key_averages(), key=lambda row: -row.self_cpu_time_total)
    total = sum(row.self_cpu_time_total for row in found)
    for row in found[:MOST_ROWS]:
        print(f"{row.key:44} {row.self_cpu_time_total / total:6.1%} {row.count // PROFILED:6} calls a step")


if __name__ == "__main__":
    main()
