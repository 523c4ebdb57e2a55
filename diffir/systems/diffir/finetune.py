"""Plan the fine-tuning of a DiffIR network: choose the options of a training run.

In: trained weights, clean photos and a degradation recipe. Out: a ``RunConfig`` whose defaults avoid a collapse of the
training. Stage 1 starts from the DIRformer of the weights and the mean of its priors, stage 2 from stage 1. A network
without a prior has stage 2 alone, which starts from the weights. Learning rates are low and warmed up, and gradients
are clipped. Validation begins before the first step, returns to the best weights after a collapse, and selects the
weights that are published.
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
from diffir.system import FEWEST_STEPS, Batch, FinetuneRequest, Pair, ThumbnailPair
from diffir.systems.diffir.network import DiffIR
from diffir.systems.diffir.settings import ArchSettings
from diffir.systems.diffir.stages import StageOne, StageTwo
from diffir.systems.diffir.system import DIFFIR, DIFFUSION, GAN, PRIOR
from diffir.systems.diffir.training_options import DiffIRTraining
from diffir.thumbnail import thumbnail

STAGE_ONE_SHARE = 0.25  # of all steps; stage 1 only has to adapt the prior to the new degradation
PRIOR_SHARE = 0.1  # of the steps of a stage, in which only the networks that compute the prior are trained
VALIDATIONS = 10  # in stage 2; stage 1 validates after as many steps
PATIENCE = 6  # validations in a row without a better score until early stopping
FEWEST_STEPS_BETWEEN = 10  # steps from one validation to the next
OVERHEAD = 1.25  # duration of a run divided by that of its steps, for validation, saved states and decoding
COLLAPSE_DB = 1.0  # drop of PSNR below its best value that counts as a collapse
SMALL = 5_000_000  # parameters; networks up to this size are trained at the higher learning rate
LR_OF_SMALL, LR_OF_LARGE = 4e-4, 1e-4  # released networks were trained at 2e-4


@dataclass(frozen=True)
class _Limits:
    """Largest patch and validation crop (side in pixels of gt) and photos per batch for a type of device."""

    largest_patch: int
    batch: int
    validation_cut: int


ON_CPU, ON_GPU = _Limits(96, 4, 128), _Limits(256, 8, 256)


def plan_run(request: FinetuneRequest) -> RunConfig:
    """Choose the options of the whole run, both stages; a budget in minutes is converted by timing a few steps.

    Raises:
        ConfigError: the card of the weights does not name their task.
    """
    # Choose patch, batch and number of steps.
    network, task = request.network, request.task
    assert isinstance(network, DiffIR)
    limits = ON_CPU if request.device.type == "cpu" else ON_GPU
    patch, batch = _patch(network.settings, request.gt_patch, limits.largest_patch), limits.batch
    steps = request.budget.steps or _steps_in(request.budget.minutes, network.settings, patch, batch, request.device)
    has_prior = network.settings.prior_width > 0
    stage_one = max(round(STAGE_ONE_SHARE * steps), FEWEST_STEPS // 4) if has_prior else 0
    if task is None:
        raise ConfigError(f"{request.source} does not say its task: convert it first (diffir convert)")

    # Divide the steps between the stages.
    one = _stage_options(network, max(stage_one, 1))
    two = _stage_options(network, max(steps - stage_one, FEWEST_STEPS // 4))
    every = max(two.total_iter // VALIDATIONS, FEWEST_STEPS_BETWEEN)

    # Name the photos and their degradation.
    recipe = ({"type": "recipe", "name": request.recipe},)
    train = TrainSetConfig(
        str(request.photos / "train"), gt_size=patch, batch_size_per_gpu=batch, cache_images=True, degradation=recipe
    )
    val = ValSetConfig(str(request.photos / "val"), gt_size=max(limits.validation_cut, patch))

    # Put the run together.
    return RunConfig(
        name=request.out.name,
        network_g=NetworkConfig(task, _differences(task, network.settings)),
        datasets=DatasetsConfig(train, val),
        system=DIFFIR.name,
        stages={PRIOR: one, DIFFUSION: two, GAN: two},
        run_stages=(PRIOR, DIFFUSION) if has_prior else (DIFFUSION,),
        manual_seed=request.seed,
        device=str(request.device),
        val=ValConfig(val_freq=every, metrics=("psnr", "ssim"), save_images=2),
        logger=LoggerConfig(print_freq=max(every // 2, 25), save_checkpoint_freq=every),
        path=PathConfig(
            experiments_root=str(request.out.parent), start={PRIOR if has_prior else DIFFUSION: request.source}
        ),
        licence=request.licence,
        training_data=f"fine-tuned from {request.card_name} on photos of the user",
    )


def _stage_options(network: DiffIR, steps: int) -> TrainConfig:
    """The options of one stage of so many steps."""
    is_small = sum(parameter.numel() for parameter in network.parameters()) <= SMALL
    lr = LR_OF_SMALL if is_small else LR_OF_LARGE
    alone = round(PRIOR_SHARE * steps) if network.settings.prior_width else 0
    return TrainConfig(
        total_iter=steps,
        optim_g=OptimConfig(lr=lr, weight_decay=1e-4),
        scheduler=SchedulerConfig("Cosine", eta_min=lr / 50),
        warmup_iter=min(100, steps // 10),
        ema_decay=0.99 if steps < 2000 else 0.999,
        grad_clip=0.3,
        collapse_margin=COLLAPSE_DB,
        patience=PATIENCE,
        publish="best",
        own=DiffIRTraining(encoder_iter=alone, encoder_lr=min(2 * lr, 1e-3) if alone else None),
    )


def _patch(settings: ArchSettings, trained: int | None, largest: int) -> int:
    """Side of the patches in pixels of gt: that of the training, limited by the device, and valid for the network."""
    step = settings.multiple_of * settings.scale
    return max(min(trained or 128 * settings.scale, largest) // step, 1) * step


def _differences(task: str, settings: ArchSettings) -> dict[str, object]:
    """The settings in which the network differs from its row of the task table."""
    row = DIFFIR.row(NetworkConfig(task)).settings
    return {key: value for key, value in settings.to_dict().items() if row[key] != value}


def _steps_in(minutes: float, settings: ArchSettings, patch: int, batch: int, device: torch.device) -> int:
    """Number of steps that fit into the time, from the fastest of three measured steps; at least ``FEWEST_STEPS``."""
    # Prepare the first stage and a random batch.
    config = TrainConfig(total_iter=8)
    stage: StageOne | StageTwo
    if settings.prior_width:
        stage = StageOne(settings, config)
    else:
        stage = StageTwo(None, config, network=DiffIR(settings, stage=2))
    stage.network.to(device)
    scale = settings.scale
    gt = torch.rand(batch, 3, patch, patch, device=device)
    lq = torch.rand(batch, settings.in_channels, patch // scale, patch // scale, device=device)
    noise = torch.zeros(batch, settings.prior_width, device=device)
    sample: Batch = Pair(lq, gt)
    if settings.thumbnail:
        seen = (thumbnail(lq, settings.thumbnail), thumbnail(gt, scale * settings.thumbnail))
        sample = ThumbnailPair(lq, gt, *seen)

    # Time forward and backward passes; the first one also warms up and is discarded.
    times = []
    for _ in range(4):
        began = time.perf_counter()
        losses = next(stage.losses(sample, stage.phases[0], (noise,)))
        losses.total.backward()
        if device.type == "cuda":
            torch.cuda.synchronize(device)
        times.append(time.perf_counter() - began)
    return max(int(minutes * 60 / (OVERHEAD * min(times[1:]))), FEWEST_STEPS)
