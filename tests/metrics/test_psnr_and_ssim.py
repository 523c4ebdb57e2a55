"""PSNR and SSIM: their mathematical properties, and agreement with scikit-image."""

import cv2
import numpy as np
import pytest
from skimage.metrics import peak_signal_noise_ratio, structural_similarity

from diffir.errors import ImageError
from diffir.metrics.fidelity import C1, C2, psnr, psnr_hole, ssim, ssim_3d, ssim_hole
from diffir.metrics.protocol import Protocol
from diffir.metrics.table import measure


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


def test_bytes_score_like_the_same_numbers_in_floating_point():
    rng = np.random.default_rng(0)
    gt, restored = (rng.integers(0, 256, (32, 32, 3)).astype(np.uint8) for _ in range(2))

    assert psnr(restored, gt) == psnr(restored.astype(np.float64), gt.astype(np.float64))
    assert ssim(restored, gt) == ssim(restored.astype(np.float64), gt.astype(np.float64))


def local_means(volume: np.ndarray) -> np.ndarray:
    """Compute 3-D SSIM by an explicit sum over an 11 x 11 x 11 window around each value, with edges repeated."""
    line = cv2.getGaussianKernel(11, 1.5).ravel()
    window = line[:, None, None] * line[:, None] * line
    around = np.lib.stride_tricks.sliding_window_view(np.pad(volume, 5, "edge"), (11, 11, 11))
    return np.array([(box * window).sum() for box in around.reshape(-1, 11, 11, 11)]).reshape(volume.shape)


@pytest.mark.parametrize("channels", [1, 3])
def test_ssim_3d_is_the_sum_over_boxes_of_rows_columns_and_channels(channels: int) -> None:
    x, y = (image[:12, :9].astype(float) for image in random_pair(channels))

    mean_x, mean_y = local_means(x), local_means(y)
    spread_x, spread_y = local_means(x * x) - mean_x**2, local_means(y * y) - mean_y**2
    shared = local_means(x * y) - mean_x * mean_y
    luminance = (2 * mean_x * mean_y + C1) / (mean_x**2 + mean_y**2 + C1)
    expected = np.mean(luminance * (2 * shared + C2) / (spread_x + spread_y + C2))

    assert ssim_3d(x, y) == pytest.approx(expected, abs=1e-9)


def test_ssim_3d_looks_across_the_channels() -> None:
    restored, gt = (image.astype(float) for image in random_pair())
    swapped = [image[..., [1, 0, 2]] for image in (restored, gt)]

    assert ssim(*swapped) == pytest.approx(ssim(restored, gt), abs=1e-12)
    assert abs(ssim_3d(*swapped) - ssim_3d(restored, gt)) > 1e-6


def test_scores_of_the_hole_see_the_missing_pixels_alone() -> None:
    restored, gt = random_pair()
    mask = np.zeros(gt.shape[:2], bool)
    mask[20:30, 20:30] = True
    kept_clean = np.where(mask[..., None], restored, gt)

    assert psnr_hole(restored, gt, mask) == psnr(restored[20:30, 20:30], gt[20:30, 20:30])
    assert psnr_hole(kept_clean, gt, mask) == psnr_hole(restored, gt, mask)
    assert ssim_hole(kept_clean, gt, mask) < ssim(kept_clean, gt)
    assert ssim_hole(gt, gt, mask) == pytest.approx(1)


def test_where_all_inner_pixels_are_missing_the_hole_is_the_image() -> None:
    restored, gt = random_pair()
    mask = np.zeros(gt.shape[:2], bool)
    mask[5:-5, 5:-5] = True

    assert ssim_hole(restored, gt, mask) == pytest.approx(ssim(restored, gt))
    assert psnr_hole(restored, gt, np.ones_like(mask)) == pytest.approx(psnr(restored, gt))


def test_a_mask_without_a_hole_is_refused() -> None:
    restored, gt = random_pair()

    with pytest.raises(ImageError, match="at least one inside the border; this one has none"):
        psnr_hole(restored, gt, np.zeros(gt.shape[:2], bool))
