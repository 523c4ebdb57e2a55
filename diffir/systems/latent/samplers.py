"""Samplers: from noise to a clean latent in few steps, with any function that predicts the clean latent.

They know neither photos nor networks. Source: DDIM is Song et al., ICLR 2021, eq. 12; DPM-Solver++(2M) is Lu et al.,
"DPM-Solver++: Fast Solver for Guided Sampling", 2022, algorithm 2.
"""

import math
from collections.abc import Callable, Iterator, Sequence
from typing import Literal

from torch import Tensor

from diffir.systems.latent.schedule import Predicted

Predict = Callable[[Tensor, int], Predicted]
"""(noisy latent, time step) -> what the denoiser says of it."""
StepNoise = Callable[[int], Tensor]
"""Number of the step, counted from 0 -> standard normal noise of the latent's shape."""
SamplerName = Literal["ddim", "dpm"]


def ddim(
    predict: Predict, alphas: Sequence[float], times: Sequence[int], start: Tensor, eta: float, noise: StepNoise
) -> Iterator[Tensor]:
    """Yield the latent after every step of DDIM.

    Args:
        alphas: a_t for every time step.
        times: the time steps that are used, ascending; sampling goes backwards.
        start: standard normal noise.
        eta: 0 adds no noise between the steps, 1 as much as DDPM.
    """
    x = start
    for number, time in enumerate(reversed(times)):
        alpha = alphas[time]
        before = _before(alphas, times, number)
        sigma = eta * math.sqrt((1 - before) / (1 - alpha) * (1 - alpha / before))
        clean, eps = predict(x, time)
        x = math.sqrt(before) * clean + math.sqrt(max(1 - before - sigma**2, 0.0)) * eps
        if sigma:
            x = x + sigma * noise(number)
        yield x


def dpm_solver(predict: Predict, alphas: Sequence[float], times: Sequence[int], start: Tensor) -> Iterator[Tensor]:
    """Yield the latent after every step of DPM-Solver++(2M): second order, deterministic, one prediction a step.

    The last step ends at the clean latent itself, which is exact for the prediction of that step.
    """
    x, last, last_step = start, None, 0.0
    for number, time in enumerate(reversed(times)):
        clean = predict(x, time).clean
        if number == len(times) - 1:
            yield clean
            return
        # lambda is half the log of the ratio of signal to noise; h is its increase in this step.
        now, after = alphas[time], alphas[times[len(times) - 2 - number]]
        step = _half_log_ratio(after) - _half_log_ratio(now)
        direction = clean
        if last is not None:
            direction = clean + (step / (2 * last_step)) * (clean - last)
        shrink = math.sqrt((1 - after) / (1 - now))
        x = shrink * x - math.sqrt(after) * math.expm1(-step) * direction
        last, last_step = clean, step
        yield x


def _before(alphas: Sequence[float], times: Sequence[int], number: int) -> float:
    """a of the time step that a step leads to; after the last one it is a_0, as in the released models."""
    index = len(times) - 2 - number
    return alphas[times[index]] if index >= 0 else alphas[0]


def _half_log_ratio(alpha: float) -> float:
    return 0.5 * math.log(alpha / (1 - alpha))
