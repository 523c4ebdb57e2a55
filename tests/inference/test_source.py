"""Tests of the conversion of photos to network input, and of restored rows to photos."""

import numpy as np
import pytest
import torch

from diffir.inference.source import OutputImages, Source, mirror, turn, turn_back
from diffir.systems.diffir.tasks import get_task

DEBLUR, INPAINT = get_task("deblur").arch, get_task("inpaint").arch


def photo(*shape: int) -> np.ndarray:
    return np.random.default_rng(0).random(shape, np.float32)


@pytest.mark.parametrize("size", [(1, 1), (1, 9), (3, 16), (17, 40)])
@pytest.mark.parametrize("settings", [DEBLUR, INPAINT], ids=["reflect", "symmetric"])
def test_any_size_is_mirrored_to_a_multiple_as_numpy_does(size: tuple[int, int], settings) -> None:
    image = photo(1, *size, 3)
    masks = np.zeros((1, *size)) if settings.has_mask else None

    source = Source.whole(image, masks, settings)

    missing = [(0, -side % 8) for side in size]
    padded = np.pad(image, [(0, 0), *missing, (0, 0)], mode="symmetric" if settings.has_mask else "reflect")
    assert np.array_equal(source.rows(0, source.height)[0, :3].permute(1, 2, 0), padded[0])


def test_rows_of_a_region_are_those_of_the_whole() -> None:
    source = Source.whole(photo(2, 30, 21, 3), None, DEBLUR)

    region = source.region(slice(8, 32), slice(16, 24))

    assert torch.equal(region.rows(3, 20), source.rows(11, 28)[..., 16:24])


def test_a_grey_photo_is_shown_as_three_equal_channels_and_comes_back_as_their_mean() -> None:
    source = Source.whole(photo(1, 8, 8, 1), None, DEBLUR)
    output = OutputImages.like(source, 1, np.dtype(np.float32), clips=False)

    lq = source.rows(0, 8)
    output.write(0, lq * torch.tensor([0.0, 1.0, 2.0])[:, None, None])

    assert torch.equal(lq[:, 0], lq[:, 2])
    np.testing.assert_allclose(output.images, source.images, atol=1e-6)


def test_holes_are_black_and_told_in_a_fourth_channel() -> None:
    masks = np.zeros((1, 8, 8))
    masks[0, 2:4, 2:4] = 255

    lq = Source.whole(np.ones((1, 8, 8, 3), np.float32), masks, INPAINT).rows(0, 8)

    assert torch.equal(lq[:, 0], 1 - lq[:, 3])
    assert lq[:, 3].sum() == 4


def test_rows_beyond_the_canvas_are_padding_and_fall_away() -> None:
    source = Source.whole(photo(1, 9, 5, 3), None, DEBLUR)
    output = OutputImages.like(source, 1, np.dtype(np.float32), clips=False)

    output.write(8, source.rows(8, 16))
    output.write(0, source.rows(0, 8))

    assert np.array_equal(output.images, source.images)


def test_rows_of_the_bare_photo_hold_no_padding() -> None:
    source = Source.whole(photo(1, 9, 5, 3), None, DEBLUR)

    rows = source.region(slice(0, 8), slice(0, 8)).without_mask().rows(0, 9)

    assert np.array_equal(rows[0].permute(1, 2, 0), source.images[0])


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
def test_integers_are_clipped_and_rounded_once(dtype: type) -> None:
    source = Source.whole(np.zeros((1, 8, 8, 3), dtype), None, DEBLUR)
    output = OutputImages.like(source, 1, np.dtype(dtype), clips=True)
    values = torch.linspace(-0.5, 1.5, 8).expand(1, 3, 8, 8)

    output.write(0, values)

    white = np.iinfo(dtype).max
    assert np.array_equal(output.images[0, 0, :, 0], np.rint(np.clip(values[0, 0, 0].numpy(), 0, 1) * white))


@pytest.mark.parametrize("mirrored", [False, True])
@pytest.mark.parametrize("quarter_turns", range(4))
def test_a_turned_photo_is_turned_back_to_itself(quarter_turns: int, mirrored: bool) -> None:
    images = photo(2, 5, 7, 3)

    turned = turn(images, quarter_turns, mirrored)

    assert turned.shape[1:3] == ((7, 5) if quarter_turns % 2 else (5, 7))
    assert np.array_equal(turn_back(turned, quarter_turns, mirrored), images)


def test_the_smallest_side_can_be_mirrored() -> None:
    assert mirror(np.arange(5), 1, repeat_edge=False).tolist() == [0] * 5
    assert mirror(np.arange(5), 2, repeat_edge=False).tolist() == [0, 1, 0, 1, 0]
    assert mirror(np.arange(5), 2, repeat_edge=True).tolist() == [0, 1, 1, 0, 0]
