"""Recipes: the steps that turn a clean image into a low-quality one, by name.

In: steps as an option file lists them, ``[{type: gaussian_noise, sigma: [0, 55]}]``. Out: one callable on a batch.
"""

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor

from diffir.degradations.noise import GaussianNoise
from diffir.errors import ConfigError
from diffir.typed_mapping import build

Degradation = Callable[[Tensor, torch.Generator], Tensor]
"""Clean images (B, 3, H, W) in [0, 1] and a generator on their device -> low-quality images."""

STEPS: dict[str, type] = {"gaussian_noise": GaussianNoise}


def build_recipe(steps: Sequence[dict[str, Any]]) -> Degradation:
    """One callable that applies the steps in order.

    Raises:
        ConfigError: an unknown step, or a step with keys or values it does not take.
    """
    built = [_build_step(step) for step in steps]

    def degrade(images: Tensor, generator: torch.Generator) -> Tensor:
        for step in built:
            images = step(images, generator)
        return images

    return degrade


def _build_step(step: Any) -> Degradation:
    if not isinstance(step, dict):
        raise ConfigError(f"a degradation is {{type: NAME, ...}}, got {step!r}")
    name = step.get("type")
    if name not in STEPS:
        raise ConfigError(f"unknown degradation {name!r}; known: {', '.join(STEPS)}")
    given = {key: value for key, value in step.items() if key != "type"}
    return build(STEPS[name], given, where=f"degradation {name}")
