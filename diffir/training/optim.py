"""Optimiser and learning rate of a phase.

The rate is a function of the step within the phase, not an object with state, so resuming needs nothing but the step.
Cosine: Loshchilov and Hutter, "SGDR", 2017, eq. 5, without restarts.
"""

import math
from collections.abc import Iterable

import torch
from torch import nn

from diffir.config import OptimConfig, TrainConfig


def build_optimizer(parameters: Iterable[nn.Parameter], config: OptimConfig) -> torch.optim.Optimizer:
    """Adam or AdamW over the parameters of a phase."""
    cls = {"Adam": torch.optim.Adam, "AdamW": torch.optim.AdamW}[config.type]
    return cls(list(parameters), lr=config.lr, betas=config.betas, weight_decay=config.weight_decay)


def learning_rate(config: TrainConfig, base_lr: float, step: int, num_steps: int) -> float:
    """Rate at a step of a phase of ``num_steps`` steps, counted from 0."""
    warmup = min(1.0, (step + 1) / config.warmup_iter) if config.warmup_iter else 1.0
    return warmup * _scheduled(config, base_lr, step, num_steps)


def _scheduled(config: TrainConfig, base_lr: float, step: int, num_steps: int) -> float:
    scheduler = config.scheduler
    if scheduler.type == "Cosine":
        progress = step / max(num_steps, 1)
        floor = min(scheduler.eta_min, base_lr)
        return floor + (base_lr - floor) * (1 + math.cos(math.pi * progress)) / 2
    if scheduler.type == "MultiStepLR":
        return base_lr * scheduler.gamma ** sum(step >= milestone for milestone in scheduler.milestones)
    return base_lr
