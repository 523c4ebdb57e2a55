"""Fine-tuning: from trained weights, a folder of clean photos and a recipe to weights that know this damage.

Decided here: the defaults that do not collapse. Stage 1 starts from the weights' own DIRformer and the mean of its
priors, stage 2 from stage 1; rates are low and warmed up, gradients clipped; validation begins before the first step,
goes back to the best weights after a collapse, and chooses what is kept. In: weights, photos, a recipe, a
budget. Out: a ``RunConfig``.
"""

import time
from dataclasses import dataclass
from pathlib import Path

import torch

from diffir.config import (
    DatasetsConfig,
    LoggerConfig,
    NetworkConfig,
    OptimConfig,
    PathConfig,
    RunConfig,
    SchedulerConfig,
    TrainConfig,
    TrainSetConfig,
    ValConfig,
    ValSetConfig,
)
from diffir.errors import ConfigError, UsageError
from diffir.systems.diffir import DiffIR
from diffir.systems.diffir.stages import StageOne
from diffir.weights.card import WeightsCard

STAGE_ONE_SHARE = 0.25  # of all steps: it only has to open the prior to the new damage
PRIOR_SHARE = 0.1  # of a stage's steps that train what makes the prior alone
VALIDATIONS = 10  # in stage 2; stage 1 keeps its pace
PATIENCE = 6
FEWEST_BETWEEN = 10  # steps from one validation to the next
OVERHEAD = 1.25  # of a run beside its steps: validation, states, decoding
FEWEST_STEPS = 100
COLLAPSE_DB = 1.0
SMALL = 5_000_000  # parameters up to which a network bears the higher rate
RATE_OF_SMALL, RATE_OF_LARGE = 4e-4, 1e-4  # the released ones were trained at 2e-4


@dataclass(frozen=True)
class _Work:
    """What a device bears: sides in pixels of gt, photos a batch."""

    largest_patch: int
    batch: int
    validation_cut: int


ON_CPU, ON_GPU = _Work(96, 4, 128), _Work(256, 8, 256)


@dataclass(frozen=True)
class Budget:
    """How long to train: a number of steps, or minutes of this machine."""

    steps: int | None = None
    minutes: float = 25.0

    def __post_init__(self) -> None:
        if self.steps is not None and self.steps < FEWEST_STEPS:
            raise UsageError(f"--steps must be {FEWEST_STEPS} or more, got {self.steps}")
        if not self.minutes > 0:
            raise UsageError(f"--minutes must be above 0, got {self.minutes:g}")


@dataclass(frozen=True)
class Start:
    """The network that learns on."""

    network: DiffIR
    card: WeightsCard
    source: str
    """Name or file of the weights."""


def plan_run(
    start: Start, photos: Path, recipe: str, out: Path, *, device: torch.device, budget: Budget, seed: int
) -> RunConfig:
    """The options of the whole run, both stages; measures a few steps where the budget is in minutes.

    Args:
        photos: folder with ``train`` and ``val``, as ``diffir.data.holdout.hold_out`` leaves it.
        recipe: name or file of the damage.
        out: the run's folder.
    """
    work = ON_CPU if device.type == "cpu" else ON_GPU
    patch, batch = _patch(start, work.largest_patch), work.batch
    steps = budget.steps or _steps_in(budget.minutes, start, patch, batch, device)
    stage_one = max(round(STAGE_ONE_SHARE * steps), FEWEST_STEPS // 4)
    task = start.card.task
    if task is None:
        raise ConfigError(f"{start.source} does not say its task: convert it first (diffir convert)")
    one = _learning(start.network, stage_one)
    two = _learning(start.network, max(steps - stage_one, FEWEST_STEPS // 4))
    every = max(two.total_iter // VALIDATIONS, FEWEST_BETWEEN)
    steps_of = ({"type": "recipe", "name": recipe},)
    return RunConfig(
        name=out.name,
        network_g=NetworkConfig(task, _differences(task, start)),
        datasets=DatasetsConfig(
            train=TrainSetConfig(
                str(photos / "train"), gt_size=patch, batch_size_per_gpu=batch, cache_images=True, degradation=steps_of
            ),
            val=ValSetConfig(str(photos / "val"), gt_size=max(work.validation_cut, patch)),
        ),
        manual_seed=seed,
        device=str(device),
        train=one,
        stage2=two,
        val=ValConfig(val_freq=every, metrics=("psnr", "ssim"), save_images=2),
        logger=LoggerConfig(print_freq=max(every // 2, 25), save_checkpoint_freq=every),
        path=PathConfig(experiments_root=str(out.parent), pretrain_network_g=start.source),
        licence=start.card.licence,
        training_data=f"fine-tuned from {start.card.name} on photos of the user",
    )


def _learning(network: DiffIR, steps: int) -> TrainConfig:
    is_small = sum(parameter.numel() for parameter in network.parameters()) <= SMALL
    rate = RATE_OF_SMALL if is_small else RATE_OF_LARGE
    return TrainConfig(
        total_iter=steps,
        encoder_iter=round(PRIOR_SHARE * steps),
        encoder_lr=min(2 * rate, 1e-3),
        optim_g=OptimConfig(lr=rate, weight_decay=1e-4),
        scheduler=SchedulerConfig("Cosine", eta_min=rate / 50),
        warmup_iter=min(100, steps // 10),
        ema_decay=0.99 if steps < 2000 else 0.999,
        grad_clip=0.3,
        collapse_margin=COLLAPSE_DB,
        patience=PATIENCE,
        publish="best",
    )


def _patch(start: Start, largest: int) -> int:
    """Side of gt: what the weights were trained with, within what the device bears, and a size the network takes."""
    settings = start.network.settings
    step = settings.multiple_of * settings.scale
    trained = (start.card.patch or 128) * settings.scale
    return max(min(trained, largest) // step, 1) * step


def _differences(task: str, start: Start) -> dict[str, object]:
    """Settings in which the network differs from its row."""
    row = NetworkConfig(task).arch().to_dict()
    return {key: value for key, value in start.network.settings.to_dict().items() if row[key] != value}


def _steps_in(minutes: float, start: Start, patch: int, batch: int, device: torch.device) -> int:
    """Steps that fit, by the time of three real ones; at least the fewest that make sense."""
    config = TrainConfig(total_iter=8)
    stage = StageOne(start.network.settings, config)
    stage.network.to(device)
    scale = start.network.settings.scale
    gt = torch.rand(batch, 3, patch, patch, device=device)
    lq = torch.rand(batch, start.network.settings.in_channels, patch // scale, patch // scale, device=device)
    noise = torch.zeros(batch, start.network.settings.prior_width, device=device)
    times = []
    for _ in range(4):
        began = time.perf_counter()
        losses = next(stage.losses(lq, gt, stage.phases[0], noise))
        losses.total.backward()
        if device.type == "cuda":
            torch.cuda.synchronize(device)
        times.append(time.perf_counter() - began)
    return max(int(minutes * 60 / (OVERHEAD * min(times[1:]))), FEWEST_STEPS)
