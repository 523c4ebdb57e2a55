"""Colour space, border and rounding of the arrays that metrics compare."""

import numpy as np
import pytest

from diffir.errors import ImageError, UsageError
from diffir.metrics.protocol import Protocol, luma


def test_luma_spans_the_studio_range() -> None:
    black_and_white = np.array([[[0, 0, 0], [255, 255, 255]]], np.uint8)

    assert luma(black_and_white, rounded=False).ravel() == pytest.approx([16, 235])


def test_luma_of_the_primaries_takes_rgb_order() -> None:
    primaries = np.diag([255, 255, 255])[None]

    # MATLAB: rgb2ycbcr(uint8(cat(3, [255 0 0], [0 255 0], [0 0 255]))) -> 81 145 41
    assert luma(primaries, rounded=True).ravel().tolist() == [81, 145, 41]


def test_the_border_is_cut_from_each_side() -> None:
    image = np.zeros((10, 12, 3))
    image[2:-2, 2:-2] = 1

    cropped = Protocol(crop_border=2).apply(image, data_range=1)

    assert cropped.shape == (6, 8, 3)
    assert (cropped == 255).all()


def test_only_the_matlab_convention_rounds_luma() -> None:
    image = np.random.default_rng(0).integers(0, 256, (8, 8, 3), dtype=np.uint8)

    matlab, basicsr = (
        Protocol(test_y_channel=True, convention=name).apply(image, data_range=255) for name in ("matlab", "basicsr")
    )

    assert (matlab == np.rint(basicsr)).all()
    assert (matlab != basicsr).any()


def test_a_grey_image_is_its_own_luma() -> None:
    grey = np.arange(64, dtype=np.uint8).reshape(8, 8, 1)

    assert (Protocol(test_y_channel=True).apply(grey, data_range=255) == grey).all()


@pytest.mark.parametrize(("shape", "message"), [((8, 8, 4), "8, 8, 4"), ((8, 8, 3), "nothing is left")])
def test_images_that_do_not_fit_the_protocol_are_refused(shape: tuple[int, ...], message: str) -> None:
    with pytest.raises(ImageError, match=message):
        Protocol(crop_border=4).apply(np.zeros(shape), data_range=1)


@pytest.mark.parametrize("wrong", [{"crop_border": -1}, {"convention": "opencv"}])
def test_a_protocol_that_cannot_be_is_refused(wrong: dict) -> None:
    with pytest.raises(UsageError):
        Protocol(**wrong)


def test_the_printed_protocol_names_every_convention() -> None:
    text = str(Protocol(crop_border=4, test_y_channel=True, convention="matlab"))

    assert all(word in text for word in ("Y", "16-235", "rounded to 8 bit", "matlab", "crop_border 4"))
