"""FID: the formula of the distance, and its use for sets of images."""

import numpy as np
import pytest
import torch
from scipy.linalg import sqrtm

from diffir.errors import UsageError
from diffir.metrics.fid import frechet_distance, load
from diffir.metrics.inception import InceptionV3
from diffir.metrics.metric import SetDistance
from diffir.metrics.protocol import Protocol
from diffir.metrics.table import SetScores

RNG = np.random.default_rng(0)
MANY, FEW = RNG.normal(size=(200, 8)), RNG.normal(size=(5, 8))
EACH = pytest.mark.parametrize("rows", [MANY, FEW], ids=["more images than features", "fewer"])


@EACH
def test_a_set_with_itself_gets_zero(rows):
    assert frechet_distance(rows, rows) == pytest.approx(0, abs=1e-9)
    assert frechet_distance(rows, rows[::-1]) == pytest.approx(0, abs=1e-9)


@EACH
def test_a_shifted_set_gets_the_square_of_the_shift(rows):
    shift = np.arange(8) / 4

    assert frechet_distance(rows, rows + shift) == pytest.approx(shift @ shift)


@EACH
def test_a_wider_set_gets_the_square_of_the_difference_of_deviations(rows):
    centred = rows - rows.mean(axis=0)

    assert frechet_distance(centred, 3 * centred) == pytest.approx(4 * np.trace(np.cov(centred, rowvar=False)))


def test_the_distance_is_that_of_the_papers_formula():
    a, b = MANY, RNG.normal(size=(90, 8)) @ RNG.normal(size=(8, 8)) + 1

    gap, x, y = a.mean(0) - b.mean(0), np.cov(a, rowvar=False), np.cov(b, rowvar=False)
    expected = gap @ gap + np.trace(x + y - 2 * np.real(sqrtm(x @ y)))

    assert frechet_distance(a, b) == pytest.approx(expected)
    assert frechet_distance(a, b) == pytest.approx(frechet_distance(b, a))


def test_the_distance_of_a_single_image_is_nan():
    assert np.isnan(frechet_distance(FEW[:1], MANY))


def mean_colours() -> SetScores:
    """Return FID on mean colours instead of Inception features."""
    return SetScores({"fid": SetDistance(lambda image: image.mean(axis=(0, 1)), frechet_distance)})


def test_a_set_of_images_is_compared_as_a_whole():
    clean = [RNG.integers(0, 256, (8, 6 + n, 3), np.uint8) for n in range(4)]
    same, other = mean_colours(), mean_colours()
    for image in clean:
        same.add(image, image, Protocol(), data_range=255)
        other.add(image / 255 + 0.2, image / 255, Protocol(), data_range=1)

    assert same.scores() == {"fid": pytest.approx(0, abs=1e-9)}
    assert other.scores() == {"fid": pytest.approx(3 * (0.2 * 255) ** 2)}


@pytest.mark.parametrize("count", [0, 1])
def test_a_set_of_one_image_has_no_score(count):
    one = mean_colours()
    for _ in range(count):
        one.add(np.zeros((8, 8, 3)), np.zeros((8, 8, 3)), Protocol(), data_range=1)

    assert np.isnan(one.scores()["fid"])


def test_a_set_without_ground_truth_is_refused():
    with pytest.raises(UsageError, match="fid needs ground truths; without them: niqe"):
        mean_colours().add(np.zeros((8, 8, 3)), None, Protocol(), data_range=1)


def test_images_are_described_by_the_public_file(tmp_path):
    network = InceptionV3().eval()
    torch.save({"fc.bias": torch.zeros(1008)} | network.state_dict(), tmp_path / "inception.pth")
    image = RNG.integers(0, 256, (24, 20, 3)).astype(float)

    found = load({"inception": tmp_path / "inception.pth"}, "cpu").describe(image)

    x = torch.from_numpy(image.transpose(2, 0, 1)[None] / 127.5 - 1).float()
    with torch.no_grad():
        expected = network(torch.nn.functional.interpolate(x, (299, 299), mode="bilinear"))[0].numpy()
    np.testing.assert_allclose(found, expected, atol=1e-4 * expected.max())
