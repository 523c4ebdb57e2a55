"""Confidence interval of a mean score, by the bootstrap over images.

In: the scores of images. Out: the two ends of the interval. It is the percentile interval of Efron, "Bootstrap methods:
another look at the jackknife", Annals of Statistics 1979: sets of the same size are drawn from the images with
replacement, and the central part of their means is the interval. It shows how much the mean depends on the choice of
images; it does not show whether the protocol is right.
"""

from collections.abc import Sequence

import numpy as np

from diffir.errors import UsageError


def interval_of_mean(
    values: Sequence[float], *, level: float = 0.95, resamples: int = 2000, seed: int = 0
) -> tuple[float, float]:
    """Return the lower and upper end of the confidence interval of the mean.

    An infinite score (the PSNR of an unchanged image) makes the mean of every draw that contains it infinite, so an end
    may be infinite, too. Both ends are NaN for fewer than two values, or if a value is NaN.

    Args:
        level: confidence level between 0 and 1.
        resamples: number of sets that are drawn.
    Raises:
        UsageError: the level is outside (0, 1), or the number of draws is below 1.
    """
    if not 0 < level < 1 or resamples < 1:
        raise UsageError(f"a bootstrap needs a level in (0, 1) and 1 draw or more, got {level:g} and {resamples}")
    scores = np.asarray(values, np.float64)
    if len(scores) < 2 or np.isnan(scores).any():
        return float("nan"), float("nan")
    generator = np.random.default_rng(seed)
    means = [scores[generator.integers(len(scores), size=len(scores))].mean() for _ in range(resamples)]
    tail = (1 - level) / 2
    # Take the mean of one of the draws: interpolation between a number and infinity is undefined.
    low, high = np.quantile(means, (tail, 1 - tail), method="inverted_cdf")
    return float(low), float(high)
