"""PSNR and SSIM: laws, and agreement with scikit-image."""

import numpy as np
import pytest
from skimage.metrics import peak_signal_noise_ratio, structural_similarity

from diffir.errors import ImageError, UsageError
from diffir.metrics.fidelity import psnr, ssim
from diffir.metrics.protocol import Protocol
from diffir.metrics.table import METRICS, get_metrics, measure


def random_pair(channels: int = 3, noise: float = 20) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(0)
    gt = rng.integers(0, 256, (40, 48, channels), dtype=np.uint8)
    restored = np.clip(gt + rng.normal(0, noise, gt.shape), 0, 255).astype(np.uint8)
    return restored, gt


@pytest.mark.parametrize("channels", [1, 3])
def test_psnr_equals_scikit_image(channels: int) -> None:
    restored, gt = random_pair(channels)

    ours = measure(restored, gt, ["psnr"], Protocol(), data_range=255)["psnr"]

    assert ours == pytest.approx(peak_signal_noise_ratio(gt, restored, data_range=255), abs=1e-9)


@pytest.mark.parametrize("channels", [1, 3])
def test_ssim_equals_scikit_image_with_the_gaussian_window(channels: int) -> None:
    restored, gt = random_pair(channels)
    window = {"gaussian_weights": True, "sigma": 1.5, "use_sample_covariance": False}

    ours = measure(restored, gt, ["ssim"], Protocol(), data_range=255)["ssim"]
    theirs = structural_similarity(gt.astype(float), restored.astype(float), data_range=255, channel_axis=-1, **window)

    assert ours == pytest.approx(theirs, abs=1e-6)


@pytest.mark.parametrize("metric", METRICS.values(), ids=lambda metric: metric.name)
def test_an_image_with_itself_gets_the_best_score(metric) -> None:
    _, gt = random_pair()

    assert measure(gt, gt, [metric.name], Protocol(), data_range=255)[metric.name] == pytest.approx(metric.best)


@pytest.mark.parametrize("metric", METRICS.values(), ids=lambda metric: metric.name)
def test_a_noisier_image_scores_worse(metric) -> None:
    scores = [
        measure(*random_pair(noise=noise), [metric.name], Protocol(), data_range=255)[metric.name]
        for noise in (5, 20, 60)
    ]

    assert scores == sorted(scores, reverse=metric.higher_is_better)
    assert len(set(scores)) == 3


@pytest.mark.parametrize(("white", "dtype"), [(65535, np.uint16), (1.0, np.float64)])
def test_scores_do_not_depend_on_how_white_is_written(white: float, dtype: type) -> None:
    restored, gt = random_pair()
    pair = [(image * (white / 255)).astype(dtype) for image in (restored, gt)]
    protocol = Protocol(test_y_channel=True, convention="matlab")

    ours = measure(*pair, ["psnr", "ssim"], protocol, data_range=white)

    assert ours == pytest.approx(measure(restored, gt, ["psnr", "ssim"], protocol, data_range=255))


def test_floats_are_neither_clipped_nor_rounded() -> None:
    gt = np.full((16, 16, 3), 1.0)

    assert measure(gt + 0.1, gt, ["psnr"], Protocol(), data_range=1)["psnr"] == pytest.approx(20)


def test_images_of_different_size_are_refused() -> None:
    restored, gt = random_pair()

    with pytest.raises(ImageError, match="sizes differ"):
        measure(restored[:-1], gt, ["psnr"], Protocol(), data_range=255)


def test_an_image_smaller_than_the_ssim_window_is_refused() -> None:
    restored, gt = random_pair()

    with pytest.raises(ImageError, match="11 x 11"):
        measure(restored[:20], gt[:20], ["ssim"], Protocol(crop_border=5), data_range=255)


def test_an_unknown_metric_is_refused_with_the_known_ones() -> None:
    with pytest.raises(UsageError, match=r"'niqe'; known: psnr, ssim"):
        get_metrics(["psnr", "niqe"])


def test_headings_show_the_direction() -> None:
    assert [metric.heading for metric in get_metrics(["psnr", "ssim"])] == ["PSNR ↑ dB", "SSIM ↑"]


def test_bytes_score_like_the_same_numbers_in_floating_point():
    rng = np.random.default_rng(0)
    gt, restored = (rng.integers(0, 256, (32, 32, 3)).astype(np.uint8) for _ in range(2))

    assert psnr(restored, gt) == psnr(restored.astype(np.float64), gt.astype(np.float64))
    assert ssim(restored, gt) == ssim(restored.astype(np.float64), gt.astype(np.float64))
