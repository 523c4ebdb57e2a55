"""Small sets on disk, and contestants that count how often they work."""

from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import pytest

from diffir.data.cards.cards import find_images, load_card
from diffir.evaluation import Degradation, GaussianNoise, Sample
from diffir.evaluation.benchmark import Benchmark
from diffir.evaluation.contestant import Contestant
from diffir.metrics.protocol import Protocol

MakeBenchmark = Callable[..., Benchmark]
WIDTH = 80


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    """Three clean images of 80 x 72: larger than the corner that a method rehearses on."""
    folder = tmp_path / "photos"
    folder.mkdir()
    rng = np.random.default_rng(0)
    for name in "abc":
        cv2.imwrite(str(folder / f"{name}.png"), cv2.resize(rng.integers(0, 256, (6, 8, 3), dtype=np.uint8), (80, 72)))
    return folder


@pytest.fixture
def make_benchmark(photos: Path) -> MakeBenchmark:
    """Those photos under a degradation."""

    def make(
        degradation: Degradation | None = None, limit: int | None = None, protocol: Protocol | None = None
    ) -> Benchmark:
        card = load_card(str(photos))
        files = tuple(find_images(card)[:limit])
        return Benchmark(card.name, files, 3, degradation or GaussianNoise(25), protocol or Protocol())

    return make


class Worker:
    """Gives the input back and remembers for whom it worked."""

    def __init__(self) -> None:
        self.seen: list[str] = []

    def restore(self, sample: Sample) -> np.ndarray:
        if sample.lq.shape[1] == WIDTH:
            self.seen.append(sample.name)
        return sample.lq

    def contestant(self, **settings: object) -> Contestant:
        return Contestant("worker", "baseline", "does nothing", 1, False, self.restore, settings=settings)
