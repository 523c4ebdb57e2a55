"""Holes are filled with the harmonic interpolation of their border."""

import pytest
import torch
from torch import Tensor

from diffir.hole_fill import fill_holes

SIZES = [(1, 1), (1, 2), (5, 1), (33, 47), (64, 64)]


def with_holes(height: int, width: int, batch: int = 1) -> tuple[Tensor, Tensor]:
    """Return noise and masks with half of the pixels missing; the first pixel is known."""
    generator = torch.Generator().manual_seed(0)
    images, masks = (torch.rand(batch, channels, height, width, generator=generator) for channels in (3, 1))
    masks = (masks > 0.5).float()
    masks[..., 0, 0] = 0
    return images, masks


def ramp(side: int) -> Tensor:
    return torch.linspace(0, 1, side).expand(1, 3, side, side)


def hole_in_the_middle(side: int) -> Tensor:
    mask = torch.zeros(1, 1, side, side)
    mask[..., side // 4 : -side // 4, side // 4 : -side // 4] = 1
    return mask


@pytest.mark.parametrize("side", [16, 50, 128])
def test_a_ramp_goes_on_through_a_hole(side: int) -> None:
    torch.testing.assert_close(fill_holes(ramp(side), hole_in_the_middle(side)), ramp(side), atol=0.02, rtol=0)


@pytest.mark.parametrize("size", SIZES)
def test_known_pixels_stay_and_no_other_exceeds_them(size: tuple[int, int]) -> None:
    images, masks = with_holes(*size)

    filled = fill_holes(images, masks)

    known = images[(masks == 0).expand_as(images)]
    assert torch.equal(filled[(masks == 0).expand_as(images)], known)
    assert known.min() <= filled.min()
    assert filled.max() <= known.max()


def test_values_of_missing_pixels_have_no_influence() -> None:
    images, masks = with_holes(20, 30)

    assert torch.equal(fill_holes(images.masked_fill(masks > 0, torch.nan), masks), fill_holes(images, masks))


def test_images_of_a_batch_do_not_influence_each_other() -> None:
    images, masks = with_holes(20, 30, batch=3)
    masks[1] = 0

    apart = [fill_holes(images[i : i + 1], masks[i : i + 1]) for i in range(3)]

    torch.testing.assert_close(fill_holes(images, masks), torch.cat(apart), rtol=0, atol=0)


def test_an_image_of_nothing_but_a_hole_is_black() -> None:
    assert fill_holes(torch.rand(2, 3, 5, 9), torch.ones(2, 1, 5, 9)).abs().max() == 0
