"""The benchmark noise equals that of published denoising tables."""

from pathlib import Path

import numpy as np
import pytest

from diffir.data.cards.cards import find_images, load_card
from diffir.degradations.benchmark_noise import add_benchmark_noise
from diffir.evaluation import GaussianNoise, evaluate
from diffir.image_io import read_image
from diffir.metrics.protocol import Protocol


def test_the_numbers_are_those_of_numpys_legacy_generator() -> None:
    noisy = add_benchmark_noise(np.zeros((2, 1, 3)), 255)

    # np.random.seed(0); np.random.normal(size=6), in H, W, C order
    expected = [1.76405235, 0.40015721, 0.97873798, 2.2408932, 1.86755799, -0.97727788]
    assert noisy.ravel() == pytest.approx(expected, abs=1e-6)


def test_every_image_starts_the_generator_anew() -> None:
    np.random.seed(7)
    image = np.full((8, 8, 3), 128, np.uint8)

    assert (add_benchmark_noise(image, 25) == add_benchmark_noise(image, 25)).all()
    assert (add_benchmark_noise(image, 25, seed=1) != add_benchmark_noise(image, 25)).any()


def test_noise_leaves_the_range_of_the_image() -> None:
    white = np.full((32, 32, 3), 255, np.uint8)

    noisy = add_benchmark_noise(white, 50)

    assert noisy.dtype == np.float32
    assert noisy.max() > 1.2
    assert np.std(noisy) * 255 == pytest.approx(50, rel=0.05)


def test_noisy_cbsd68_has_the_known_psnr(shared: Path) -> None:
    files = find_images(load_card("cbsd68"), shared / "data" / "eval")[::8]
    samples = (GaussianNoise(25)(file.name, read_image(file.gt).pixels) for file in files)

    result = evaluate(lambda sample: sample.lq, samples, ["psnr"], Protocol(), round_output=False)

    assert result.means["psnr"] == pytest.approx(20.18, abs=0.01)
