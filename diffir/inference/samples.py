"""Several results for one photo, and where they differ: what the photo does not determine, one result only guesses.

In: a restorer and a photo. Out: the results for consecutive seeds, their mean, and the standard deviation per pixel.
"""

import copy
from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np

from diffir.errors import UsageError
from diffir.inference.restorer import Restorer
from diffir.pixels import to_float, to_kind
from diffir.system import OnProgress


@dataclass(frozen=True)
class Samples:
    """Results for one photo, all of one size and data type."""

    images: list[np.ndarray]
    """One result per seed, H x W x C or H x W."""
    mean: np.ndarray
    """Mean of the results, of their data type."""
    deviation: np.ndarray
    """Standard deviation over the results, averaged over the channels: H x W float32 with white at 1."""

    @property
    def deviation_image(self) -> np.ndarray:
        """The deviation as a grey image, H x W uint8: black where all results agree, white at 1/8 of the range."""
        return to_kind(np.clip(8 * self.deviation, 0, 1), np.dtype(np.uint8))


def with_seed(restorer: Restorer, seed: int) -> Restorer:
    """A restorer with the same network and options but another seed."""
    other = copy.copy(restorer)
    other.options = replace(restorer.options, seed=seed)
    return other


def seeds_of(restorer: Restorer, count: int) -> range:
    """Seeds of ``count`` results: the restorer's own and those that follow.

    Raises:
        UsageError: the count is below 1.
    """
    if count < 1:
        raise UsageError(f"samples must be 1 or more, got {count}")
    return range(restorer.options.seed, restorer.options.seed + count)


def draw_samples(
    restorer: Restorer,
    image: np.ndarray,
    mask: np.ndarray | None = None,
    *,
    count: int,
    on_progress: OnProgress | None = None,
) -> Samples:
    """Restore a photo several times, with consecutive seeds.

    Args:
        image, mask, on_progress: as for ``Restorer.restore``.
        count: number of results.
    """
    images = list(_results(restorer, image, mask, count, on_progress))
    mean = np.zeros(images[0].shape)
    squares = np.zeros(images[0].shape)
    for result in images:
        mean += to_float(result) / count
    for result in images:
        squares += (to_float(result) - mean) ** 2 / count
    deviation = np.sqrt(squares).astype(np.float32)
    deviation = deviation.mean(axis=-1) if deviation.ndim == 3 else deviation
    return Samples(images, to_kind(mean, images[0].dtype), deviation)


def _results(
    restorer: Restorer, image: np.ndarray, mask: np.ndarray | None, count: int, on_progress: OnProgress | None
) -> Iterator[np.ndarray]:
    for number, seed in enumerate(seeds_of(restorer, count)):

        def report(share: float, done: int = number) -> None:
            if on_progress is not None:
                on_progress((done + share) / count)

        yield with_seed(restorer, seed).restore(image, mask, on_progress=report)
