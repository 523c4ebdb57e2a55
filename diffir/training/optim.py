"""Optimiser and learning rate of a phase.

The rate is a function of the step within the phase, not an object with state, so resuming needs nothing but the step.
Cosine: Loshchilov and Hutter, "SGDR", 2017, eq. 5, without restarts.
"""

import math
from collections.abc import Sequence

import torch
from torch import nn

from diffir.config import OptimConfig, SchedulerConfig


def build_optimizer(parameters: Sequence[nn.Parameter], config: OptimConfig) -> torch.optim.Optimizer:
    """Adam or AdamW over the parameters of a learner, in one kernel where the device has it."""
    cls = {"Adam": torch.optim.Adam, "AdamW": torch.optim.AdamW}[config.type]
    is_fused = parameters[0].device.type in ("cpu", "cuda")
    return cls(parameters, lr=config.lr, betas=config.betas, weight_decay=config.weight_decay, fused=is_fused)


def learning_rate(scheduler: SchedulerConfig, base_lr: float, step: int, num_steps: int, *, warmup: int = 0) -> float:
    """Rate at a step of a phase of ``num_steps`` steps, counted from 0; it rises from 0 over ``warmup`` steps."""
    share = min(1.0, (step + 1) / warmup) if warmup else 1.0
    return share * _scheduled(scheduler, base_lr, step, num_steps)


def _scheduled(scheduler: SchedulerConfig, base_lr: float, step: int, num_steps: int) -> float:
    if scheduler.type == "Cosine":
        progress = step / max(num_steps, 1)
        floor = min(scheduler.eta_min, base_lr)
        return floor + (base_lr - floor) * (1 + math.cos(math.pi * progress)) / 2
    if scheduler.type == "MultiStepLR":
        return base_lr * scheduler.gamma ** sum(step >= milestone for milestone in scheduler.milestones)
    return base_lr
