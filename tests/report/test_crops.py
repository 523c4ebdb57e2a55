"""Large pictures show where it went wrong; pixels stay what they are."""

import base64
import io

import numpy as np
import pytest
from PIL import Image

from diffir.report.crops import error_of, image_address, worst_window


def test_the_window_holds_the_largest_error():
    error = np.zeros((60, 90))
    error[40:44, 70:75] = 1

    window = worst_window(error, 16)

    assert window.cut(error).sum() == error.sum()
    assert (window.width, window.height) == (16, 16)


def test_no_window_of_the_same_size_has_more():
    error = np.random.default_rng(0).random((20, 31))

    found = worst_window(error, 7)

    sums = [error[y : y + 7, x : x + 7].sum() for y in range(14) for x in range(25)]
    assert found.cut(error).sum() == pytest.approx(max(sums))


def test_a_picture_that_fits_is_shown_whole():
    window = worst_window(np.ones((20, 30)), 64)

    assert (window.left, window.top, window.width, window.height) == (0, 0, 30, 20)


def test_where_nothing_is_worse_the_middle_is_shown():
    window = worst_window(np.zeros((20, 30)), 10)

    assert (window.left, window.top) in {(10, 5), (10, 4)}


def test_the_error_is_that_of_the_methods_and_not_of_the_input():
    gt = np.full((4, 4, 3), 100, np.uint8)
    restored, noisy = gt.copy(), gt + 9
    restored[0, 0] = 98

    error = error_of({"input": noisy, "photo": restored, "ground truth": gt})

    assert error[0, 0] == 12
    assert error.sum() == 12


def test_pixels_come_back_from_the_page_bit_for_bit():
    image = np.random.default_rng(0).integers(0, 256, (9, 7, 3), dtype=np.uint8)

    content = base64.b64decode(image_address(image).partition("base64,")[2])

    assert np.array_equal(np.array(Image.open(io.BytesIO(content)).convert("RGB")), image)
