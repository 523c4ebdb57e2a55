"""Fine-tuning of DiffIR: from trained weights, clean photos and a recipe to the options of a run.

Decided here: defaults that do not collapse. Stage 1 starts from the weights' own DIRformer and the mean of its priors,
stage 2 from stage 1; learning rates are low and warmed up, gradients clipped; validation begins before the first step,
returns to the best weights after a collapse, and chooses which weights are kept.
"""

import time
from dataclasses import dataclass

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
from diffir.errors import ConfigError
from diffir.system import FEWEST_STEPS, FinetuneRequest
from diffir.systems.diffir.network import DiffIR
from diffir.systems.diffir.settings import ArchSettings
from diffir.systems.diffir.stages import StageOne
from diffir.systems.diffir.system import DIFFIR, DIFFUSION, GAN, PRIOR
from diffir.systems.diffir.training_options import DiffIRTraining

STAGE_ONE_SHARE = 0.25  # of all steps: it only has to open the prior to the new damage
PRIOR_SHARE = 0.1  # of a stage's steps that train what makes the prior alone
VALIDATIONS = 10  # in stage 2; stage 1 keeps its pace
PATIENCE = 6
FEWEST_BETWEEN = 10  # steps from one validation to the next
OVERHEAD = 1.25  # of a run beside its steps: validation, states, decoding
COLLAPSE_DB = 1.0
SMALL = 5_000_000  # parameters up to which a network bears the higher rate
RATE_OF_SMALL, RATE_OF_LARGE = 4e-4, 1e-4  # the released ones were trained at 2e-4


@dataclass(frozen=True)
class _Work:
    """Largest patch and batch per device type: sides in pixels of gt, photos a batch."""

    largest_patch: int
    batch: int
    validation_cut: int


ON_CPU, ON_GPU = _Work(96, 4, 128), _Work(256, 8, 256)


def plan_run(request: FinetuneRequest) -> RunConfig:
    """The options of the whole run, both stages; measures a few steps where the budget is in minutes.

    Raises:
        ConfigError: the weights do not name their task.
    """
    network, task = request.network, request.task
    assert isinstance(network, DiffIR)
    work = ON_CPU if request.device.type == "cpu" else ON_GPU
    patch, batch = _patch(network.settings, request.gt_patch, work.largest_patch), work.batch
    steps = request.budget.steps or _steps_in(request.budget.minutes, network.settings, patch, batch, request.device)
    stage_one = max(round(STAGE_ONE_SHARE * steps), FEWEST_STEPS // 4)
    if task is None:
        raise ConfigError(f"{request.source} does not say its task: convert it first (diffir convert)")
    one = _learning(network, stage_one)
    two = _learning(network, max(steps - stage_one, FEWEST_STEPS // 4))
    every = max(two.total_iter // VALIDATIONS, FEWEST_BETWEEN)
    recipe = ({"type": "recipe", "name": request.recipe},)
    train = TrainSetConfig(
        str(request.photos / "train"), gt_size=patch, batch_size_per_gpu=batch, cache_images=True, degradation=recipe
    )
    val = ValSetConfig(str(request.photos / "val"), gt_size=max(work.validation_cut, patch))
    return RunConfig(
        name=request.out.name,
        network_g=NetworkConfig(task, _differences(task, network.settings)),
        datasets=DatasetsConfig(train, val),
        system=DIFFIR.name,
        stages={PRIOR: one, DIFFUSION: two, GAN: two},
        run_stages=(PRIOR, DIFFUSION),
        manual_seed=request.seed,
        device=str(request.device),
        val=ValConfig(val_freq=every, metrics=("psnr", "ssim"), save_images=2),
        logger=LoggerConfig(print_freq=max(every // 2, 25), save_checkpoint_freq=every),
        path=PathConfig(experiments_root=str(request.out.parent), pretrain_network_g=request.source),
        licence=request.licence,
        training_data=f"fine-tuned from {request.card_name} on photos of the user",
    )


def _learning(network: DiffIR, steps: int) -> TrainConfig:
    is_small = sum(parameter.numel() for parameter in network.parameters()) <= SMALL
    rate = RATE_OF_SMALL if is_small else RATE_OF_LARGE
    return TrainConfig(
        total_iter=steps,
        optim_g=OptimConfig(lr=rate, weight_decay=1e-4),
        scheduler=SchedulerConfig("Cosine", eta_min=rate / 50),
        warmup_iter=min(100, steps // 10),
        ema_decay=0.99 if steps < 2000 else 0.999,
        grad_clip=0.3,
        collapse_margin=COLLAPSE_DB,
        patience=PATIENCE,
        publish="best",
        own=DiffIRTraining(encoder_iter=round(PRIOR_SHARE * steps), encoder_lr=min(2 * rate, 1e-3)),
    )


def _patch(settings: ArchSettings, trained: int | None, largest: int) -> int:
    """Side of gt in pixels: as in the weights' training, limited by the device, and a size that the network takes."""
    step = settings.multiple_of * settings.scale
    return max(min(trained or 128 * settings.scale, largest) // step, 1) * step


def _differences(task: str, settings: ArchSettings) -> dict[str, object]:
    """Settings in which the network differs from its row."""
    row = DIFFIR.row(NetworkConfig(task)).settings
    return {key: value for key, value in settings.to_dict().items() if row[key] != value}


def _steps_in(minutes: float, settings: ArchSettings, patch: int, batch: int, device: torch.device) -> int:
    """Steps that fit into the time, measured on three real ones; at least ``FEWEST_STEPS``."""
    config = TrainConfig(total_iter=8)
    stage = StageOne(settings, config)
    stage.network.to(device)
    scale = settings.scale
    gt = torch.rand(batch, 3, patch, patch, device=device)
    lq = torch.rand(batch, settings.in_channels, patch // scale, patch // scale, device=device)
    noise = torch.zeros(batch, settings.prior_width, device=device)
    times = []
    for _ in range(4):
        began = time.perf_counter()
        losses = next(stage.losses(lq, gt, stage.phases[0], (noise,)))
        losses.total.backward()
        if device.type == "cuda":
            torch.cuda.synchronize(device)
        times.append(time.perf_counter() - began)
    return max(int(minutes * 60 / (OVERHEAD * min(times[1:]))), FEWEST_STEPS)
