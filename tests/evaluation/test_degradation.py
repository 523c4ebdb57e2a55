"""Degradations: samples as published protocols make them, and what is compared of each."""

from pathlib import Path

import cv2
import numpy as np
import pytest

from diffir.errors import ConfigError, ImageError, UsageError
from diffir.evaluation import (
    AsGiven,
    BicubicDownscale,
    GaussianNoise,
    Holes,
    JpegCompression,
    NoReference,
    RecipeDegradation,
)
from diffir.metrics.protocol import Protocol, luma

ALL = [
    GaussianNoise(25),
    BicubicDownscale(2),
    JpegCompression(10),
    RecipeDegradation("photo"),
    AsGiven(),
    NoReference(),
]


def image(height: int = 24, width: int = 32, channels: int = 3) -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, (height, width, channels), dtype=np.uint8)


def test_low_resolution_comes_from_a_ground_truth_cut_to_a_multiple_of_the_scale() -> None:
    sample = BicubicDownscale(4)("a", image(27, 34))

    assert sample.gt.shape == (24, 32, 3)
    assert sample.lq.shape == (6, 8, 3)
    assert sample.lq.dtype == np.uint8


def test_float_luma_is_one_unrounded_channel() -> None:
    sample = BicubicDownscale(4, "y_float")("a", image())

    assert sample.lq.shape == (6, 8, 1)
    assert sample.gt.shape == (24, 32, 1)
    assert np.abs(sample.lq * 255 - np.rint(sample.lq * 255)).max() > 0.1


@pytest.mark.parametrize("test", [GaussianNoise(25), BicubicDownscale(2)], ids=["noise", "downscale"])
def test_a_grey_file_joins_a_colour_benchmark_with_equal_channels(test) -> None:
    sample = test("bridge", image(channels=1))

    assert sample.lq.shape[2] == sample.gt.shape[2] == 3
    assert (sample.gt[..., 0] == sample.gt[..., 2]).all()


def test_degradations_say_how_inputs_are_made() -> None:
    assert "sigma 25/255" in str(GaussianNoise(25)) and "neither clipped nor rounded" in str(GaussianNoise(25))
    assert "x4" in str(BicubicDownscale(4)) and "8-bit RGB" in str(BicubicDownscale(4))
    assert "SRCNN" in str(BicubicDownscale(4, "y_float"))


@pytest.mark.parametrize("degradation", ALL, ids=lambda degradation: degradation.label)
def test_facts_say_the_kind_and_the_words(degradation) -> None:
    facts = degradation.facts()

    assert facts["kind"] == degradation.kind
    assert facts["description"] == str(degradation)


@pytest.mark.parametrize(
    ("degradation", "label", "protocol"),
    [
        (GaussianNoise(25), "sigma 25", Protocol()),
        (BicubicDownscale(4), "bicubic x4", Protocol(crop_border=4, test_y_channel=True)),
        (BicubicDownscale(3, "y_float"), "bicubic x3", Protocol(3, True, "matlab")),
        (JpegCompression(10), "JPEG 10", Protocol()),
        (JpegCompression(10, grey=True), "JPEG 10, grey", Protocol(0, True, "matlab")),
        (RecipeDegradation("photo"), "recipe photo", Protocol()),
        (RecipeDegradation("photo", seed=3), "recipe photo, seed 3", Protocol()),
        (RecipeDegradation("bicubic_x2"), "recipe bicubic_x2", Protocol(crop_border=2, test_y_channel=True)),
        (RecipeDegradation("inpaint_thin"), "mask thin", Protocol()),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_a_degradation_has_a_label_and_the_protocol_of_its_field(degradation, label: str, protocol: Protocol) -> None:
    assert (degradation.label, degradation.protocol) == (label, protocol)


def test_jpeg_is_what_opencv_saves() -> None:
    sample = JpegCompression(30)("a", image())

    _, code = cv2.imencode(".jpg", image()[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, 30])
    assert (sample.lq == cv2.imdecode(code, cv2.IMREAD_COLOR)[..., ::-1]).all()


@pytest.mark.parametrize("channels", [1, 3])
def test_grey_jpeg_saves_and_compares_one_channel(channels: int) -> None:
    sample = JpegCompression(30, grey=True)("a", image(channels=channels))

    assert sample.lq.shape == sample.truth.shape == (24, 32, 1)
    assert (sample.truth == (image(channels=1) if channels == 1 else luma(image(), rounded=True))).all()


def test_a_quality_out_of_range_is_refused() -> None:
    with pytest.raises(UsageError, match="1 to 100, got 0"):
        JpegCompression(0)


def test_a_recipe_draws_by_the_name_of_the_image_and_the_seed() -> None:
    first, again, other, reseeded = (
        RecipeDegradation("gaussian_noise", seed)(name, image()).lq
        for name, seed in (("a", 0), ("a", 0), ("b", 0), ("a", 1))
    )

    assert (first == again).all()
    assert (first != other).any() and (first != reseeded).any()


def test_results_are_compared_with_what_a_recipe_marks_as_ground_truth(tmp_path: Path) -> None:
    recipe = tmp_path / "soft.yml"
    recipe.write_text("steps: [{type: blur, sigma: [2, 2]}, {type: ground_truth}, {type: jpeg, quality: [20, 20]}]")

    sample = RecipeDegradation(str(recipe))("a", image())

    assert sample.gt.dtype == np.uint8
    assert sample.gt.std() < 0.5 * image().std()


def test_an_image_that_a_recipe_leaves_as_it_is_is_drawn_again(tmp_path: Path) -> None:
    recipe = tmp_path / "seldom.yml"
    recipe.write_text("summary: s\nsteps: [{type: gaussian_noise, prob: 0.1, sigma: [40, 40]}]\n", "utf-8")

    samples = [RecipeDegradation(str(recipe))(name, image()) for name in "abcdefgh"]

    assert all((np.abs(sample.lq * 255 - sample.truth) > 10).any() for sample in samples)


def test_drawn_holes_leave_a_mask_and_zeros_beneath_it() -> None:
    sample = RecipeDegradation("inpaint_medium")("a", image(64, 64))

    assert sample.mask is not None and 0 < sample.mask.mean() < 1
    assert (sample.lq[sample.mask] == 0).all()
    assert (np.rint(sample.lq[~sample.mask] * 255) == sample.truth[~sample.mask]).all()


@pytest.mark.parametrize("white_is_missing", [True, False])
def test_masks_of_a_folder_say_what_is_missing(tmp_path: Path, white_is_missing: bool) -> None:
    left_is_white = np.zeros((12, 16), np.uint8)
    left_is_white[:, :8] = 255
    cv2.imwrite(str(tmp_path / "left.png"), left_is_white)

    sample = Holes(str(tmp_path), white_is_missing)("a", image())

    assert sample.mask is not None and (sample.mask[:, :16] == white_is_missing).all()
    assert (sample.lq[sample.mask] == 0).all() and (sample.lq[~sample.mask] == image()[~sample.mask]).all()


def test_given_inputs_must_differ_from_the_ground_truth_by_the_scale() -> None:
    assert AsGiven(2)("a", image(), image(12, 16)).lq.shape == (12, 16, 3)
    with pytest.raises(ConfigError, match="a: input and ground truth"):
        AsGiven()("a", image(), image(12, 16))


def test_a_photo_without_reference_has_no_ground_truth() -> None:
    assert NoReference()("a", image()).gt is None


def test_an_image_smaller_than_the_scale_is_refused() -> None:
    with pytest.raises(ImageError, match="too few"):
        BicubicDownscale(4)("a", image(3, 3))
