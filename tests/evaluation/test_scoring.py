"""Evaluation: samples as published protocols make them, scores as a saved file would get."""

import numpy as np
import pytest

from diffir.errors import ImageError, UsageError
from diffir.evaluation import GaussianNoise, Sample, evaluate
from diffir.metrics.protocol import Protocol


def image(height: int = 24, width: int = 32, channels: int = 3) -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, (height, width, channels), dtype=np.uint8)


def off_by(value: float, **options: bool) -> float:
    """PSNR of a method whose output is the ground truth (mid grey) plus a value in 1/255."""
    grey = np.full((16, 16, 3), 100, np.uint8)
    samples = [Sample("grey", grey, grey)]
    restored = (grey + np.float32(value)) / np.float32(255)
    return evaluate(lambda _: restored, samples, ["psnr"], Protocol(), **options).means["psnr"]


def test_the_output_is_rounded_to_8_bit_before_it_is_scored() -> None:
    assert off_by(0.4) == float("inf")
    assert off_by(0.6) == pytest.approx(20 * np.log10(255))
    assert off_by(0.6, round_output=False) == pytest.approx(20 * np.log10(255 / 0.6), abs=1e-3)


def test_the_output_is_clipped_before_it_is_scored() -> None:
    white = np.full((16, 16, 3), 255, np.uint8)
    samples = [Sample("white", white, white)]

    result = evaluate(lambda sample: np.full((16, 16, 3), 1.3), samples, ["psnr"], Protocol())

    assert result.means["psnr"] == float("inf")


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16, np.float32])
def test_outputs_of_any_kind_are_compared_on_one_scale(dtype: type) -> None:
    gt = image()
    white = 1 if dtype is np.float32 else np.iinfo(dtype).max
    output = (gt / 255 * white).astype(dtype)

    result = evaluate(lambda _: output, [Sample("a", gt, gt)], ["psnr", "ssim"], Protocol())

    assert result.means == {"psnr": float("inf"), "ssim": pytest.approx(1)}


def test_the_mean_is_over_images_in_their_order() -> None:
    samples = [GaussianNoise(sigma)(f"{sigma}", image()) for sigma in (5, 50)]

    result = evaluate(lambda sample: sample.lq, samples, ["psnr"], Protocol(), round_output=False)

    first, second = (scored.scores["psnr"] for scored in result.images)
    assert [scored.name for scored in result.images] == ["5", "50"]
    assert first - second == pytest.approx(20)
    assert result.means["psnr"] == pytest.approx((first + second) / 2)


def test_a_restored_image_of_the_wrong_size_is_an_error_that_names_it() -> None:
    sample = GaussianNoise(25)("kodim01", image())

    with pytest.raises(ImageError, match="kodim01: sizes differ"):
        evaluate(lambda s: s.lq[1:], [sample], ["psnr"], Protocol())


def test_an_empty_benchmark_is_an_error() -> None:
    with pytest.raises(UsageError, match="no image"):
        evaluate(lambda s: s.lq, [], ["psnr"], Protocol())
