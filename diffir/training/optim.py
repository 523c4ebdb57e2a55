"""Optimiser and learning rate of a phase.

The learning rate is a function of the step within the phase and has no state, so resuming needs only the step number.
Cosine: Loshchilov and Hutter, "SGDR", 2017, eq. 5, without restarts.
"""

import math
from collections.abc import Sequence

import torch
from torch import nn

from diffir.config import OptimConfig, SchedulerConfig


def build_optimizer(parameters: Sequence[nn.Parameter], config: OptimConfig) -> torch.optim.Optimizer:
    """Build Adam or AdamW for the parameters of a learner, fused into one kernel where the device supports it."""
    cls = {"Adam": torch.optim.Adam, "AdamW": torch.optim.AdamW}[config.type]
    is_fused = parameters[0].device.type in ("cpu", "cuda")
    return cls(parameters, lr=config.lr, betas=config.betas, weight_decay=config.weight_decay, fused=is_fused)


def learning_rate(scheduler: SchedulerConfig, base_lr: float, step: int, num_steps: int, *, warmup: int = 0) -> float:
    """Return the learning rate at a step, counted from 0, of a phase of ``num_steps`` steps.

    During the first ``warmup`` steps it is scaled by a factor that rises linearly to 1.
    """
    share = min(1.0, (step + 1) / warmup) if warmup else 1.0
    return share * _scheduled(scheduler, base_lr, step, num_steps)


def _scheduled(scheduler: SchedulerConfig, base_lr: float, step: int, num_steps: int) -> float:
    if scheduler.type == "Cosine":
        progress = step / max(num_steps, 1)
        # A final rate above the initial one would make the learning rate rise.
        floor = min(scheduler.eta_min, base_lr)
        return floor + (base_lr - floor) * (1 + math.cos(math.pi * progress)) / 2
    if scheduler.type == "MultiStepLR":
        return base_lr * scheduler.gamma ** sum(step >= milestone for milestone in scheduler.milestones)
    return base_lr
