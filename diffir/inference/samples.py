"""Several results for one photo, and where they differ: what the photo does not determine, one result only guesses.

In: a restorer and a photo. Out: the results for consecutive seeds, their mean, and the standard deviation per pixel.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from diffir.errors import UsageError
from diffir.inference.options import LARGEST_SEED
from diffir.inference.progress import part_of
from diffir.inference.restorer import Restorer
from diffir.inference.strips import split_rows
from diffir.pixels import to_float, to_kind
from diffir.system import OnProgress

IMAGE_SCALE = 8  # a deviation of one level of 255 is the grey value 8, so white is nearly 32 levels; a matter of taste
_ROWS = 256  # rows that are averaged at a time, to save memory


@dataclass(frozen=True)
class Samples:
    """Results for one photo, all of one size and data type."""

    images: list[np.ndarray]
    """One result per seed, H x W x C or H x W."""
    mean: np.ndarray
    """Mean of the results, of their data type."""
    deviation: np.ndarray
    """Standard deviation over the results, averaged over the channels: H x W float32 with white at 1."""

    @classmethod
    def of(cls, images: Sequence[np.ndarray]) -> "Samples":
        """Compute mean and deviation of results that are there already."""
        mean = np.empty_like(images[0])
        deviation = np.empty(mean.shape[:2], np.float32)
        for strip in split_rows(len(mean), _ROWS, 0):
            rows = slice(strip.top, strip.bottom)
            stacked = np.stack([to_float(image[rows]) for image in images])
            mean[rows] = to_kind(stacked.mean(axis=0, dtype=np.float64), mean.dtype)
            spread = stacked.std(axis=0, dtype=np.float64)
            deviation[rows] = spread.mean(axis=-1) if spread.ndim == 3 else spread
        return cls(list(images), mean, deviation)

    @property
    def deviation_image(self) -> np.ndarray:
        """The deviation as a grey image, H x W uint8: black where all results agree, white at 1/8 of the range.

        The grey value is 8 times the deviation in levels of 255.
        """
        return to_kind(np.clip(IMAGE_SCALE * self.deviation, 0, 1), np.dtype(np.uint8))


def seeds_of(restorer: Restorer, count: int) -> range:
    """Seeds of ``count`` results: the restorer's own and those that follow.

    Raises:
        UsageError: the count is below 1, the network draws nothing at random, or the last seed would be too large.
    """
    if count < 1:
        raise UsageError(f"samples must be 1 or more, got {count}")
    if count > 1 and not restorer.draws_at_random:
        raise UsageError(f"{restorer.name} draws nothing at random, so all samples would be equal: ask for one")
    first = restorer.options.seed
    if first + count - 1 > LARGEST_SEED:
        raise UsageError(f"{count} samples need seeds up to {first + count - 1}, above the largest, {LARGEST_SEED}")
    return range(first, first + count)


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
        image: a photo as ``Restorer.restore`` takes it.
        mask: as for ``Restorer.restore``.
        count: number of results.
        on_progress: as for ``Restorer.restore``.
    """
    return Samples.of(list(_results(restorer, image, mask, count, on_progress)))


def _results(
    restorer: Restorer, image: np.ndarray, mask: np.ndarray | None, count: int, on_progress: OnProgress | None
) -> Iterator[np.ndarray]:
    for number, seed in enumerate(seeds_of(restorer, count)):
        progress = part_of(on_progress, number / count, (number + 1) / count)
        yield restorer.with_seed(seed).restore(image, mask, on_progress=progress)
