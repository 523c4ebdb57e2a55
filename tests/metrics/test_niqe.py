"""NIQE gives BasicSR's values, and worse ones for degraded images."""

import importlib.util

import numpy as np
import pytest
from scipy.stats import gennorm

from diffir._basicsr import load_basicsr
from diffir.data.cards.cards import find_images, load_card
from diffir.errors import ImageError
from diffir.image_io import read_image
from diffir.metrics.niqe import _fit, _halved, niqe
from diffir.metrics.protocol import Protocol
from diffir.metrics.table import LoadedMetrics


def of_set5(shared, name: str) -> np.ndarray:
    return next(
        read_image(file.gt).pixels
        for file in find_images(load_card("set5"), shared / "data" / "eval")
        if file.name.startswith(name)
    )


@pytest.mark.parametrize(("name", "border", "value"), [("bird", 4, 5.2831), ("baby", 0, 3.2655)])
def test_values_are_those_of_basicsr(shared, name, border, value):
    meter = LoadedMetrics.prepare(["niqe"])

    scores = meter.measure(of_set5(shared, name), None, Protocol(crop_border=border), data_range=255)

    assert scores["niqe"] == pytest.approx(value, abs=5e-5)


@pytest.mark.skipif(importlib.util.find_spec("basicsr") is None, reason="basicsr is not installed")
@pytest.mark.parametrize("name", ["woman", "butterfly"])
def test_scores_equal_basicsr_on_photos(shared, name):
    load_basicsr()
    from basicsr.metrics import calculate_niqe

    image = of_set5(shared, name)

    assert niqe(image.astype(float)) == pytest.approx(calculate_niqe(image[..., ::-1].copy(), 0), abs=2e-4)


def test_a_noisy_photo_is_less_natural(shared):
    photo = of_set5(shared, "bird").astype(float)
    noise = np.random.default_rng(0).normal(size=photo.shape)

    scores = [niqe(photo + sigma * noise) for sigma in (0, 15, 50)]

    assert scores == sorted(scores)


def test_the_fit_finds_the_distribution_it_is_shown():
    shape = 1.3
    values = gennorm.rvs(shape, size=40_000, random_state=0)

    found, left, right = _fit(values)

    assert (found, left, right) == pytest.approx((shape, 1, 1), rel=0.05)


def test_halving_is_matlabs_antialiased_bicubic():
    from diffir.degradations.resize import imresize

    image = np.random.default_rng(0).integers(0, 256, (20, 12)).astype(np.float32)

    np.testing.assert_allclose(_halved(image), imresize(image, 0.5), atol=1e-3)


def test_an_image_of_one_block_is_refused():
    with pytest.raises(ImageError, match="NIQE needs 192 x 96 pixels inside the border, or upright, got 191 x 191"):
        niqe(np.zeros((191, 191, 3)))


def test_a_flat_image_has_no_statistics():
    assert np.isnan(niqe(np.full((96, 192, 3), 128.0)))
