"""Compute what a training of DiffIR costs: steps, patches and floating-point operations of each stage of option files.

    python tools/training_cost.py [--devices 8] [--rate TFLOPS] options/deblur/s1.yml options/deblur/s2.yml ...

It counts the operations of the networks for one patch of each size on the meta device, where no arithmetic is done. A
backward pass counts as two forward ones, since torch's own count of it is many times too high for grouped
convolutions. Losses in the features of other networks, discriminators, optimisers and reading are not counted.
Hours follow from ``--rate``, what one device sustains; its default is a guess, since nothing was measured on a GPU.
"""

import argparse
from collections.abc import Callable, Iterator
from pathlib import Path

import torch
from torch.utils.flop_counter import FlopCounterMode

from diffir.api import load_config
from diffir.config import RunConfig, TrainConfig
from diffir.systems.diffir import ArchSettings, DiffIR
from diffir.systems.diffir.tasks import get_task

_FORWARD_AND_BACKWARD = 3  # in units of a forward pass
_NUMBER = {"prior": 1, "diffusion": 2, "gan": 2}  # stage -> which network it trains


def operations(settings: ArchSettings, stage: str, gt_size: int, *, prior_alone: bool = False) -> int:
    """Return the floating-point operations of forward and backward for one patch of gt_size x gt_size pixels of gt."""
    side = gt_size // settings.scale
    with torch.device("meta"):
        network = DiffIR(settings, _NUMBER[stage])
        lq, gt = torch.empty(1, settings.in_channels, side, side), torch.empty(1, 3, gt_size, gt_size)
        noise, prior = torch.empty(1, settings.prior_width), torch.empty(1, max(settings.prior_width, 1))
        teacher = DiffIR(settings, 1) if settings.prior_width else None
    extract = 0 if teacher is None else _forward(lambda: teacher.oracle_prior(lq, gt))
    restore = 0 if prior_alone else _forward(lambda: network.restore(lq, prior))
    if stage == "prior":
        return (extract + restore) * _FORWARD_AND_BACKWARD
    estimate = _forward(lambda: network.estimate_prior(lq, noise=noise))
    return extract + (estimate + restore) * _FORWARD_AND_BACKWARD


def _forward(work: Callable[[], object]) -> int:
    """Return the floating-point operations of everything that torch computes in a call."""
    counter = FlopCounterMode(display=False)
    with counter, torch.no_grad():
        work()
    return counter.get_total_flops()


def segments(learning: TrainConfig, config: RunConfig) -> Iterator[tuple[int, int, int, bool]]:
    """Yield steps, side of the patches, batch of one device, and whether the prior alone learns, in order."""
    train = config.datasets.train
    sizes = learning.gt_sizes or (train.gt_size,)
    batches = learning.mini_batch_sizes or (train.batch_size_per_gpu,)
    alone = getattr(learning.own, "encoder_iter", 0)
    for steps, size, batch in zip(learning.iters or (learning.total_iter,), sizes, batches, strict=True):
        first = min(steps, alone)
        yield from (
            (count, size, batch * learning.accum_iter, is_alone)
            for count, is_alone in ((first, True), (steps - first, False))
            if count
        )
        alone -= first


def cost(config: RunConfig, stage: str, devices: int) -> tuple[int, int, float]:
    """Return steps, patches and floating-point operations of one stage on all devices together."""
    settings = ArchSettings.from_dict({**get_task(config.network_g.task).arch.to_dict(), **config.network_g.settings})
    counted: dict[tuple[int, bool], int] = {}
    steps = patches = 0
    total = 0.0
    for count, size, batch, is_alone in segments(config.stages[stage], config):
        if (size, is_alone) not in counted:
            counted[size, is_alone] = operations(settings, stage, size, prior_alone=is_alone)
        steps, patches = steps + count, patches + count * batch * devices
        total += count * batch * devices * counted[size, is_alone]
    return steps, patches, total


def main() -> None:
    """Print one line for each stage of each file."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("options", type=Path, nargs="+", help="option files of DiffIR")
    parser.add_argument("--devices", type=int, default=8, help="devices, each with the batch of the file (default: 8)")
    parser.add_argument("--rate", type=float, default=5.0, help="TFLOP/s that one device sustains (default: 5)")
    args = parser.parse_args()
    for path in args.options:
        config = load_config(path)
        for stage in config.run_stages:
            steps, patches, total = cost(config, stage, args.devices)
            hours = total / args.devices / (args.rate * 1e12) / 3600
            facts = f"{steps:,} steps, {patches / 1e6:.1f} M patches, {total / 1e18:.2f} EFLOP, {hours:.1f} h"
            print(f"{path} {stage}: {facts}")


# DEL{steps:,} steps, {patches / 1e6:.1f} M patches, {total / 1e18:.2f} EFLOP, {hours:.1f} h")


if __name__ == "__main__":
    main()
