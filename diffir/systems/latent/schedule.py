"""The noise schedule of latent diffusion: betas, conversions between what a denoiser may predict, and time steps.

A noisy latent is x_t = sqrt(a_t) x_0 + sqrt(1 - a_t) eps, where a_t is the product of 1 - beta up to step t, counted
from 0. All numbers are Python floats in double precision. Source: Ho et al., "Denoising Diffusion Probabilistic
Models", NeurIPS 2020, eq. 4; Rombach et al., CVPR 2022; v is Salimans and Ho, ICLR 2022, appendix D.
"""

import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from diffir.systems.latent.settings import DiffusionSettings


class Predicted(NamedTuple):
    """What a denoiser says of a noisy latent: the clean latent and the noise, both (B, Z, h, w)."""

    clean: Tensor
    noise: Tensor


class Schedule:
    """The betas of one network.

    Attributes:
        alphas: a_t for every time step.
    """

    def __init__(self, settings: DiffusionSettings) -> None:
        self.settings = settings
        start, end = math.sqrt(settings.linear_start), math.sqrt(settings.linear_end)
        self.betas = np.linspace(start, end, settings.timesteps, dtype=np.float64) ** 2
        self.alphas: Sequence[float] = np.cumprod(1 - self.betas).tolist()

    def noisy(self, clean: Tensor, noise: Tensor, time: Tensor) -> Tensor:
        """Add noise to clean latents (B, Z, h, w) as at the time steps (B,)."""
        signal, spread = self._weights(time, clean)
        return signal * clean + spread * noise

    def target(self, clean: Tensor, noise: Tensor, time: Tensor) -> Tensor:
        """What the denoiser shall predict, (B, Z, h, w): the noise, or the velocity v."""
        if self.settings.prediction == "eps":
            return noise
        signal, spread = self._weights(time, clean)
        return signal * noise - spread * clean

    def predicted(self, output: Tensor, noisy: Tensor, time: int) -> Predicted:
        """Read the output of the denoiser for noisy latents, both (B, Z, h, w), at one time step."""
        signal, spread = math.sqrt(self.alphas[time]), math.sqrt(1 - self.alphas[time])
        if self.settings.prediction == "eps":
            return Predicted((noisy - spread * output) / signal, output)
        return Predicted(signal * noisy - spread * output, spread * noisy + signal * output)

    def with_noise(self, clean: Tensor, noisy: Tensor, time: int) -> Predicted:
        """The noise that a noisy latent holds beside a predicted clean one, at one time step."""
        signal, spread = math.sqrt(self.alphas[time]), math.sqrt(1 - self.alphas[time])
        return Predicted(clean, (noisy - signal * clean) / spread)

    def times(self, steps: int) -> list[int]:
        """The time steps of sampling in ascending order.

        "leading" is 1 + i (T // S), as the released models sample; "trailing" ends at the last time step, where a
        latent is nearly pure noise, which few steps need (Lin et al., WACV 2024, section 3.3).
        """
        total = self.settings.timesteps
        if self.settings.spacing == "leading":
            stride = total // steps
            first = min(1, total - 1 - (steps - 1) * stride)  # 0 where all time steps are used
            return [first + i * stride for i in range(steps)]
        return [round((i + 1) * total / steps) - 1 for i in range(steps)]

    def times_by_noise(self, steps: int) -> list[int]:
        """Time steps for solvers of higher order: about equally spaced in the log of the ratio of signal to noise.

        They end at the last time step. Time steps that coincide are used once, which happens above about 50 steps.
        """
        ratios = np.log(np.array(self.alphas) / (1 - np.array(self.alphas)))
        wanted = np.linspace(ratios[-1], ratios[0], steps + 1)[:-1]
        return sorted({int(np.abs(ratios - ratio).argmin()) for ratio in wanted})

    def _weights(self, time: Tensor, like: Tensor) -> tuple[Tensor, Tensor]:
        alphas = torch.tensor(self.alphas, dtype=torch.float64)[time.cpu()].view(-1, 1, 1, 1)
        signal, spread = alphas.sqrt(), (1 - alphas).sqrt()
        return signal.to(like.device, like.dtype), spread.to(like.device, like.dtype)
