"""Diffusion of prior vectors: the noise schedule, the forward process and the reverse process.

In and out: vectors (B, P). The network is passed as a function that predicts x_start. Schedule and posterior follow
DDPM (Ho et al., 2020, eq. 4-7) with betas linear in sqrt(beta). As in the released DiffIR networks, each reverse step
takes the posterior mean and adds no noise, so the start noise is the only source of randomness.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from torch import Tensor

PredictStart = Callable[[Tensor, int], Tensor]
"""Predicts x_start (B, P) from x_t (B, P) and the step t."""


@dataclass(frozen=True)
class Schedule:
    """Constants of each step t = 0 ... T-1, computed in float64 and rounded to float32, as in released networks."""

    betas: tuple[float, ...]
    alphas_cumprod: tuple[float, ...]
    posterior_mean_coef1: tuple[float, ...]
    """Weight of x_start in the mean of x_{t-1}."""
    posterior_mean_coef2: tuple[float, ...]
    """Weight of x_t in the mean of x_{t-1}."""
    sqrt_alphas_cumprod: tuple[float, ...]
    sqrt_one_minus_alphas_cumprod: tuple[float, ...]

    @classmethod
    def linear_in_sqrt(cls, num_timesteps: int, linear_start: float, linear_end: float) -> "Schedule":
        """Make a schedule with betas whose square roots rise linearly from sqrt(linear_start) to sqrt(linear_end)."""
        # The cumulative product at t - 1 is 1 for the first step.
        betas = np.linspace(linear_start**0.5, linear_end**0.5, num_timesteps) ** 2
        alphas_cumprod = np.cumprod(1 - betas)
        previous = np.append(1.0, alphas_cumprod[:-1])

        def rounded(values: np.ndarray) -> tuple[float, ...]:
            return tuple(values.astype(np.float32).astype(float).tolist())

        # Posterior mean: DDPM eq. 7.
        return cls(
            betas=rounded(betas),
            alphas_cumprod=rounded(alphas_cumprod),
            posterior_mean_coef1=rounded(betas * np.sqrt(previous) / (1 - alphas_cumprod)),
            posterior_mean_coef2=rounded((1 - previous) * np.sqrt(1 - betas) / (1 - alphas_cumprod)),
            sqrt_alphas_cumprod=rounded(np.sqrt(alphas_cumprod)),
            sqrt_one_minus_alphas_cumprod=rounded(np.sqrt(1 - alphas_cumprod)),
        )

    @property
    def num_timesteps(self) -> int:
        return len(self.betas)

    def q_sample(self, x_start: Tensor, t: int, noise: Tensor) -> Tensor:
        """Sample x_t from x_start and noise in one step (DDPM, eq. 4); all are (B, P)."""
        return self.sqrt_alphas_cumprod[t] * x_start + self.sqrt_one_minus_alphas_cumprod[t] * noise

    def reverse_chain(self, predict_start: PredictStart, x_t: Tensor) -> list[Tensor]:
        """Run all reverse steps from x_T-1 to x_start; gradients flow through them.

        Args:
            predict_start: (x_t, t) -> x_start, both (B, P).
            x_t: (B, P), the start of the chain: noise, or ``q_sample`` of a known prior.
        Returns:
            The vector (B, P) after each step, t = T-1 first; the last one is the result.
        """
        chain = []
        for t in reversed(range(self.num_timesteps)):
            x_start = predict_start(x_t, t)
            x_t = self.posterior_mean_coef1[t] * x_start + self.posterior_mean_coef2[t] * x_t
            chain.append(x_t)
        return chain
