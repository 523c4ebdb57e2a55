"""The first stage of an option file, to be measured: its trainer, and batches of photos as `diffir train` makes them.

In: the words of a command line. Out: a trainer that has not begun, whose steps never end a phase, and its batches.
"""

import argparse
from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path

from diffir.allocator import keep_freed_memory
from diffir.api import load_config
from diffir.system import Batch
from diffir.systems import SYSTEMS
from diffir.training.early_stopping import EarlyStopping
from diffir.training.run import Run
from diffir.training.trainer import Trainer

_LEGS = ("iters", "gt_sizes", "mini_batch_sizes")
_ENDLESS = ("train.total_iter=1000000", "train.encoder_iter=0", *(f"train.{key}=[]" for key in _LEGS))


def parser_of(description: str | None) -> argparse.ArgumentParser:
    """Return a parser that knows the arguments ``options`` and ``overrides``."""
    parser = argparse.ArgumentParser(description=description, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("options", type=Path, help="an option file")
    parser.add_argument("overrides", nargs="*", help="key=value, as in diffir train")
    return parser


@dataclass(frozen=True)
class FirstStage:
    """A trainer and the batches that arrive for it."""

    trainer: Trainer
    batches: Iterator[Batch]

    @classmethod
    def of(cls, options: Path, overrides: list[str]) -> "FirstStage":
        """Build what `diffir train` would build."""
        keep_freed_memory()
        config = load_config(options, [*_ENDLESS, *overrides])
        config = replace(config, run_stages=config.run_stages[:1])
        run, (name,) = Run(config, SYSTEMS[config.system]), config.run_stages
        learning = config.stages[name]
        stopping = EarlyStopping.from_config(learning, higher_is_better=True)
        trainer = Trainer(run.stage(name), learning, stopping, number=1, device=run.device, seed=0)
        arriving = run.samples.batches(name, 0, run.processes, pin_memory=run.device.type == "cuda")
        return cls(trainer, iter(arriving))

    @cached_property
    def batch(self) -> Batch:
        """One batch, on the device, to be used again and again."""
        return self.trainer._on_device(next(self.batches))
