"""Classical inpainting as a method: the pixels around a hole decide, whatever the depth of the image."""

import cv2
import numpy as np
import pytest
from skimage.data import astronaut

from diffir.baselines.baseline_table import BASELINES, get_baseline
from diffir.errors import ImageError, UsageError

INPAINTING = [name for name in BASELINES if get_baseline(name).has_mask]
OTHERS = [name for name in BASELINES if name not in (*INPAINTING, "input")]


def photo() -> np.ndarray:
    return np.ascontiguousarray(astronaut()[60:125, 180:241])


@pytest.fixture
def mask() -> np.ndarray:
    mask = np.zeros((65, 61), np.uint8)
    mask[20:30, 10:40] = 1
    mask[5:60, 50:53] = 255
    return mask


def test_there_are_three_ways_to_fill_holes() -> None:
    assert INPAINTING == ["telea", "navier_stokes", "membrane"]


@pytest.mark.parametrize(("name", "flag"), [("telea", cv2.INPAINT_TELEA), ("navier_stokes", cv2.INPAINT_NS)])
def test_bytes_are_filled_as_opencv_fills_them(name: str, flag: int, mask: np.ndarray) -> None:
    filled = get_baseline(name).restore(photo(), mask)

    assert np.array_equal(filled, cv2.inpaint(photo(), (mask > 0).astype(np.uint8), 3, flag))


@pytest.mark.parametrize("dtype", [np.uint16, np.float32, np.float64])
@pytest.mark.parametrize("name", INPAINTING)
def test_deeper_images_are_filled_like_bytes_and_keep_known_pixels(name: str, dtype: type, mask: np.ndarray) -> None:
    white = 1 if np.dtype(dtype).kind == "f" else 65535
    image = (photo() / 255 * white).astype(dtype)

    filled = get_baseline(name).restore(image, mask)

    bytewise = get_baseline(name).restore(photo(), mask)
    assert filled.dtype == dtype
    assert np.array_equal(filled[mask == 0], image[mask == 0])
    assert np.abs(filled / white * 255 - bytewise).mean() < 0.5  # grey levels: bytes are rounded at every step


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("name", INPAINTING)
def test_what_lies_in_the_holes_does_not_matter(name: str, channels: int, mask: np.ndarray) -> None:
    image = photo()[:, :, :channels]
    emptied = np.where(mask[:, :, None] > 0, 0, image).astype(np.uint8)

    filled = get_baseline(name).restore(image, mask > 0)

    assert filled.shape == image.shape
    assert np.array_equal(filled, get_baseline(name).restore(emptied, mask))


@pytest.mark.parametrize("name", INPAINTING)
def test_filled_holes_are_nearer_to_the_photo_than_empty_ones(name: str, mask: np.ndarray) -> None:
    emptied = np.where(mask[:, :, None] > 0, 0, photo()).astype(np.uint8)

    filled = get_baseline(name).restore(emptied, mask)

    wrong = [np.abs(image.astype(float) - photo())[mask > 0].mean() for image in (filled, emptied)]
    assert wrong[0] < wrong[1] / 2


@pytest.mark.parametrize("name", INPAINTING)
def test_a_mask_is_needed_and_must_fit(name: str) -> None:
    with pytest.raises(UsageError, match=f"{name} fills holes: it needs a mask"):
        get_baseline(name).restore(photo())
    with pytest.raises(ImageError, match=r"the mask is \(9, 61\) but the image is \(65, 61\)"):
        get_baseline(name).restore(photo(), np.ones((9, 61)))


@pytest.mark.parametrize("name", OTHERS)
def test_methods_that_fill_nothing_refuse_a_mask(name: str, mask: np.ndarray) -> None:
    with pytest.raises(UsageError, match=f"{name} takes no mask"):
        get_baseline(name, 25).restore(photo(), mask)


def test_the_input_keeps_its_holes(mask: np.ndarray) -> None:
    assert get_baseline("input").restore(photo(), mask) == pytest.approx(photo())
