"""Tests of tiling: spans cover a side, their weights add up to one, and blended tiles show no seam."""

from itertools import pairwise

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from diffir.inference.tiling import blend_tiles, round_tile, split_side


def on_a_grid_of_8(x: Tensor) -> Tensor:
    """Replace every pixel by the mean of its 8 x 8 cell; this is correct only for tiles that start on the grid."""
    return F.interpolate(F.avg_pool2d(x, 8), scale_factor=8)


def tiled(function, image: Tensor, tile: int, overlap: int, scale: int = 1) -> Tensor:
    rows, columns = (split_side(side, tile, overlap, 8) for side in image.shape[-2:])
    merged = torch.full((*image.shape[:2], *(scale * side for side in image.shape[-2:])), torch.nan)

    def write(top: int, finished: Tensor) -> None:
        merged[..., top : top + finished.shape[-2], :] = finished

    blend_tiles(lambda row, column: function(image[..., row, column]), rows, columns, scale, write)
    return merged


@pytest.mark.parametrize("tile", [8, 16, 24, 30, 64, 400])
@pytest.mark.parametrize("overlap", [0, 5, 16, 100])
def test_merged_tiles_equal_the_untiled_result(tile: int, overlap: int) -> None:
    image = torch.rand(2, 3, 72, 96)

    torch.testing.assert_close(tiled(on_a_grid_of_8, image, tile, overlap), on_a_grid_of_8(image), atol=1e-6, rtol=0)


def test_merged_tiles_equal_the_untiled_result_when_the_network_enlarges() -> None:
    image = torch.rand(1, 3, 40, 24)

    def enlarge(x: Tensor) -> Tensor:
        return F.interpolate(x, scale_factor=4)

    torch.testing.assert_close(tiled(enlarge, image, 16, 8, scale=4), enlarge(image), atol=1e-6, rtol=0)


def test_tiles_that_disagree_blend_without_a_step() -> None:
    values = iter((0.0, 1.0))

    merged = tiled(lambda x: torch.full_like(x, next(values)), torch.zeros(1, 1, 64, 96), 64, 32)

    steps = merged[0, 0, 0].diff()
    assert steps.min() >= 0
    assert steps.max() < 0.06


@pytest.mark.parametrize("side", [8, 40, 72, 200])
@pytest.mark.parametrize("tile", [8, 16, 64, 100])
@pytest.mark.parametrize("step", [8, 24])
def test_shares_of_all_spans_add_up_to_one(side: int, tile: int, step: int) -> None:
    total = torch.zeros(side)

    for span in split_side(side, tile, 16, step):
        assert span.start % step == 0
        total[span.place] += span.weights

    torch.testing.assert_close(total, torch.ones(side))


@pytest.mark.parametrize("side", [600, 1480, 5000])
@pytest.mark.parametrize(("tile", "overlap", "step"), [(64, 0, 8), (512, 32, 16), (160, 0, 160), (4448, 32, 32)])
def test_tiles_are_about_equal_and_none_is_too_large(side: int, tile: int, overlap: int, step: int) -> None:
    lengths = [len(span.weights) for span in split_side(side, tile, overlap, step)]

    assert max(lengths) <= tile
    assert max(lengths) - min(lengths) <= 2 * step


@pytest.mark.parametrize("tile", [16, 24, 64])
@pytest.mark.parametrize("overlap", [1, 8, 12])
def test_neighbouring_tiles_share_the_overlap_or_more(tile: int, overlap: int) -> None:
    spans = split_side(200, tile, overlap, 8)

    assert all(
        one.stop - other.start >= min(overlap, round_tile(tile, overlap, 8) // 2) for one, other in pairwise(spans)
    )
