"""DISTS: its formula, its pooling and its weights."""

from pathlib import Path

import numpy as np
import pytest
import torch

from diffir.errors import ImageError
from diffir.metrics import dists, features
from diffir.metrics.metric import Score

RNG = np.random.default_rng(0)
X, Y = (RNG.integers(0, 256, (24, 32, 3)).astype(float) for _ in range(2))


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("weights")
    torch.save({f"features.{name}": t for name, t in features.vgg16().state_dict().items()}, folder / "vgg16.pth")
    return folder


def with_channel_weights(folder: Path, alpha: float, beta: float) -> Score:
    weights = {name: torch.full((1, 1475, 1, 1), value) for name, value in (("alpha", alpha), ("beta", beta))}
    torch.save(weights, folder / "dists.pt")
    return dists.load({"vgg16": folder / "vgg16.pth", "dists": folder / "dists.pt"}, "cpu")


def test_equal_images_get_zero_and_others_more(folder):
    score = with_channel_weights(folder, 0.1, 0.1)

    assert score(X, X) == pytest.approx(0, abs=1e-6)
    assert score((X + Y) / 2, X) < score(Y, X)


def test_only_the_proportion_of_the_channel_weights_counts(folder):
    assert with_channel_weights(folder, 0.1, 0.3)(X, Y) == pytest.approx(
        with_channel_weights(folder, 1, 3)(X, Y), rel=1e-4
    )


def test_texture_alone_does_not_see_where_things_are(folder):
    texture, structure = with_channel_weights(folder, 1, 0), with_channel_weights(folder, 0, 1)
    mirrored = X[:, ::-1]

    assert texture(mirrored, X) < 0.01 < 0.05 < structure(mirrored, X)


def test_similarity_is_that_of_means_and_deviations():
    x, y = (RNG.random((1, 2, 5, 6)) for _ in range(2))
    texture, structure = (part.numpy()[0, 0, 0, 0] for part in dists.compare(*map(torch.from_numpy, (x, y))))
    a, b = x[0, 0].ravel(), y[0, 0].ravel()

    assert texture == pytest.approx((2 * a.mean() * b.mean() + 1e-6) / (a.mean() ** 2 + b.mean() ** 2 + 1e-6))
    expected = (2 * np.cov(a, b, ddof=0)[0, 1] + 1e-6) / (a.var() + b.var() + 1e-6)
    assert structure == pytest.approx(expected)


def test_pooling_halves_by_the_root_of_the_blurred_square():
    x = torch.rand(1, 2, 6, 8)
    pooled = dists.RootMeanSquarePool()(x)

    around = x[0, 1, 1:4, 3:6].numpy() ** 2  # of row 2, column 4
    window = np.outer([1, 2, 1], [1, 2, 1]) / 16
    assert pooled.shape == (1, 2, 3, 4)
    assert float(pooled[0, 1, 1, 2]) == pytest.approx(np.sqrt((around * window).sum()))


def test_an_image_of_which_nothing_would_be_left_is_refused(folder):
    with pytest.raises(ImageError, match="DISTS needs 16 x 16 pixels inside the border, got 32 x 15"):
        with_channel_weights(folder, 1, 1)(X[:15], Y[:15])
