"""imresize equals MATLAB's bicubic with antialiasing."""

import numpy as np
import pytest
from PIL import Image

from diffir.degradations.resize import imresize
from diffir.errors import UsageError


def random_image(*shape: int) -> np.ndarray:
    return np.random.default_rng(0).random(shape)


@pytest.mark.parametrize("scale", [1 / 4, 1 / 3, 1 / 2, 2, 3, 4])
def test_the_inside_equals_pillows_antialiased_bicubic(scale: float) -> None:
    image = random_image(48, 60).astype(np.float32)  # Pillow cuts the kernel at the border, MATLAB mirrors the image

    ours = imresize(image, scale)
    theirs = np.asarray(Image.fromarray(image).resize(ours.shape[::-1], Image.Resampling.BICUBIC))

    margin = max(2, int(2 * scale) + 1)
    inside = np.s_[margin:-margin, margin:-margin]
    np.testing.assert_allclose(ours[inside], theirs[inside], atol=1e-5)


def test_borders_are_mirrored() -> None:
    image = random_image(12, 16, 3)
    mirrored = np.pad(image, ((12, 12), (16, 16), (0, 0)), mode="symmetric")

    np.testing.assert_allclose(imresize(image, 1 / 4), imresize(mirrored, 1 / 4)[3:6, 4:8], atol=1e-12)


def test_a_known_row_of_weights() -> None:
    # Halving: Keys' kernel (a = -1/2) at distances 1.75, 0.75, 0.25, 1.25
    impulse = np.zeros((16, 16))
    impulse[:, 8] = 1

    row = imresize(impulse, 1 / 2)[4]

    expected = np.array([-3, 29, 111, -9]) / 256
    assert row[2:6] == pytest.approx(expected)


@pytest.mark.parametrize("scale", [0.3, 1 / 3, 0.5, 2.5])
def test_a_flat_image_stays_flat(scale: float) -> None:
    assert imresize(np.full((30, 21, 3), 0.7), scale) == pytest.approx(0.7)


def test_sides_are_rounded_up_but_not_by_a_rounding_error() -> None:
    assert imresize(random_image(99, 100), 1 / 3).shape == (33, 34)


def test_8_bit_passes_are_rounded_one_by_one() -> None:
    image = (random_image(32, 32, 3) * 255).astype(np.uint8)
    columns_only = imresize(image.astype(float), 1 / 4)

    once = imresize(image, 1 / 4, uint8_passes=False)

    assert (once == np.floor(np.clip(columns_only, 0, 255) + 0.5)).all()
    difference = np.abs(imresize(image, 1 / 4).astype(int) - once)
    assert 0 < difference.max() <= 2


def test_floats_are_neither_clipped_nor_rounded_and_keep_their_type() -> None:
    image = np.where(random_image(32, 32) > 0.5, 1, 0).astype(np.float32)

    enlarged = imresize(image, 2)

    assert enlarged.dtype == np.float32
    assert enlarged.min() < 0 and enlarged.max() > 1


@pytest.mark.parametrize(("dtype", "scale"), [(np.uint8, 0), (np.uint8, -1), (np.uint16, 2)])
def test_unknown_types_and_scales_are_refused(dtype: type, scale: float) -> None:
    with pytest.raises(UsageError, match="imresize"):
        imresize(np.zeros((8, 8), dtype), scale)
