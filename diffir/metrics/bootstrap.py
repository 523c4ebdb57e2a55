"""How sure a mean is: its interval by the bootstrap over images.

In: scores of images; out: two numbers. The percentile interval of Efron, "Bootstrap methods: another look at the
jackknife", Annals of Statistics 1979: sets of as many images are drawn from the images with replacement, and the middle
of their means is kept. It tells how the choice of images may have fallen, not whether the protocol is right.
"""

from collections.abc import Sequence

import numpy as np

from diffir.errors import UsageError


def interval_of_mean(
    values: Sequence[float], *, level: float = 0.95, resamples: int = 2000, seed: int = 0
) -> tuple[float, float]:
    """Ends of the interval in which the mean lies at this level.

    An infinite score (PSNR of an untouched image) makes the means of all draws that hold it infinite, so an end may be
    infinite too. Both ends are not a number for less than two values, or where one is not a number.

    Raises:
        UsageError: a level outside (0, 1), or no draws.
    """
    if not 0 < level < 1 or resamples < 1:
        raise UsageError(f"a bootstrap needs a level in (0, 1) and 1 draw or more, got {level:g} and {resamples}")
    scores = np.asarray(values, np.float64)
    if len(scores) < 2 or np.isnan(scores).any():
        return float("nan"), float("nan")
    generator = np.random.default_rng(seed)
    means = [scores[generator.integers(len(scores), size=len(scores))].mean() for _ in range(resamples)]
    tail = (1 - level) / 2
    # a value of the draws, not one between two of them: between a number and infinity there is nothing
    low, high = np.quantile(means, (tail, 1 - tail), method="inverted_cdf")
    return float(low), float(high)
