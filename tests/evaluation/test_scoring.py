"""Evaluation: samples as published protocols make them, scores as a saved file would get."""

import json

import numpy as np
import pytest

from diffir.errors import ImageError, UsageError
from diffir.evaluation import DownscaleTest, NoiseTest, Sample, evaluate
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
    samples = [NoiseTest(sigma)(f"{sigma}", image()) for sigma in (5, 50)]

    result = evaluate(lambda sample: sample.lq, samples, ["psnr"], Protocol(), round_output=False)

    first, second = (scored.scores["psnr"] for scored in result.images)
    assert [scored.name for scored in result.images] == ["5", "50"]
    assert first - second == pytest.approx(20)
    assert result.means["psnr"] == pytest.approx((first + second) / 2)


def test_a_restored_image_of_the_wrong_size_is_an_error_that_names_it() -> None:
    sample = NoiseTest(25)("kodim01", image())

    with pytest.raises(ImageError, match="kodim01: sizes differ"):
        evaluate(lambda s: s.lq[1:], [sample], ["psnr"], Protocol())


def test_an_empty_benchmark_is_an_error() -> None:
    with pytest.raises(UsageError, match="no image"):
        evaluate(lambda s: s.lq, [], ["psnr"], Protocol())


def test_the_result_is_strict_json() -> None:
    gt = image()
    result = evaluate(lambda s: s.lq, [Sample("a", gt, gt)], ["psnr", "ssim"], Protocol(crop_border=2))

    read = json.loads(json.dumps(result.to_dict(), allow_nan=False))

    assert read["means"]["psnr"] == "inf"
    assert read["crop_border"] == 2
    assert [row["name"] for row in read["images"]] == ["a"]


def test_low_resolution_comes_from_a_ground_truth_cut_to_a_multiple_of_the_scale() -> None:
    sample = DownscaleTest(4)("a", image(27, 34))

    assert sample.gt.shape == (24, 32, 3)
    assert sample.lq.shape == (6, 8, 3)
    assert sample.lq.dtype == np.uint8


def test_float_luma_is_one_unrounded_channel() -> None:
    sample = DownscaleTest(4, "y_float")("a", image())

    assert sample.lq.shape == (6, 8, 1)
    assert sample.gt.shape == (24, 32, 1)
    assert np.abs(sample.lq * 255 - np.rint(sample.lq * 255)).max() > 0.1


@pytest.mark.parametrize("test", [NoiseTest(25), DownscaleTest(2)], ids=["noise", "downscale"])
def test_a_grey_file_joins_a_colour_benchmark_with_equal_channels(test) -> None:
    sample = test("bridge", image(channels=1))

    assert sample.lq.shape[2] == sample.gt.shape[2] == 3
    assert (sample.gt[..., 0] == sample.gt[..., 2]).all()


def test_tests_say_how_inputs_are_made() -> None:
    assert "sigma 25/255" in str(NoiseTest(25)) and "neither clipped nor rounded" in str(NoiseTest(25))
    assert "x4" in str(DownscaleTest(4)) and "8-bit RGB" in str(DownscaleTest(4))
    assert "SRCNN" in str(DownscaleTest(4, "y_float"))
