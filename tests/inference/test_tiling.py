"""Laws of padding and tiling."""

from itertools import pairwise

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from diffir.inference.tiling import bytes_per_pixel, choose_tile, pad_to_multiple, round_tile, run_tiled, split_side
from diffir.tasks import TASKS, get_task


def on_a_grid_of_8(x: Tensor) -> Tensor:
    """Every pixel becomes the mean of its 8 x 8 cell: right only for tiles that start on the grid."""
    return F.interpolate(F.avg_pool2d(x, 8), scale_factor=8)


@pytest.mark.parametrize("size", [(1, 1), (1, 9), (3, 16), (17, 40)])
@pytest.mark.parametrize("mode", ["reflect", "symmetric"])
def test_padding_follows_numpy_at_any_size(size: tuple[int, int], mode: str) -> None:
    image = torch.rand(1, 3, *size)

    padded = pad_to_multiple(image, 8, symmetric=mode == "symmetric")

    missing = [(0, -side % 8) for side in size]
    assert np.array_equal(padded, np.pad(image.numpy(), [(0, 0), (0, 0), *missing], mode=mode))


@pytest.mark.parametrize("tile", [8, 16, 24, 30, 64, 400])
@pytest.mark.parametrize("overlap", [0, 5, 16, 100])
def test_merged_tiles_equal_the_untiled_result(tile: int, overlap: int) -> None:
    image = torch.rand(2, 3, 72, 96)

    merged = run_tiled(on_a_grid_of_8, image, tile=tile, overlap=overlap, multiple_of=8)

    torch.testing.assert_close(merged, on_a_grid_of_8(image), atol=1e-6, rtol=0)


def test_merged_tiles_equal_the_untiled_result_when_the_network_enlarges() -> None:
    image = torch.rand(1, 3, 40, 24)

    def enlarge(x: Tensor) -> Tensor:
        return F.interpolate(x, scale_factor=4)

    merged = run_tiled(enlarge, image, tile=16, overlap=8, multiple_of=8, scale=4)

    torch.testing.assert_close(merged, enlarge(image), atol=1e-6, rtol=0)


def test_tiles_that_disagree_blend_without_a_step() -> None:
    values = iter((0.0, 1.0))

    merged = run_tiled(
        lambda x: torch.full_like(x, next(values)), torch.zeros(1, 1, 64, 96), tile=64, overlap=32, multiple_of=8
    )

    steps = merged[0, 0, 0].diff()
    assert steps.min() >= 0
    assert steps.max() < 2 / 32


@pytest.mark.parametrize("side", [8, 64, 136, 1000])
@pytest.mark.parametrize("tile", [8, 64, 128])
def test_shares_of_all_spans_add_up_to_one(side: int, tile: int) -> None:
    total = torch.zeros(side)
    for span in split_side(side, tile, overlap=min(32, tile // 2), multiple_of=8):
        assert span.start % 8 == 0
        total[span.start : span.stop] += span.weights

    torch.testing.assert_close(total, torch.ones(side))


@pytest.mark.parametrize("tile", [1, 16, 24, 32, 48])
@pytest.mark.parametrize("overlap", [1, 8, 16])
def test_neighbouring_tiles_share_the_overlap_or_more(tile: int, overlap: int) -> None:
    spans = split_side(96, tile, overlap, multiple_of=16)

    assert all(left.stop - right.start >= overlap for left, right in pairwise(spans))
    assert len(spans) > 1
    assert {len(span.weights) for span in spans} == {round_tile(tile, overlap, multiple_of=16)}


def test_progress_counts_every_tile() -> None:
    seen = []

    run_tiled(
        lambda x: x,
        torch.zeros(1, 3, 64, 32),
        tile=32,
        overlap=0,
        multiple_of=8,
        on_tile=lambda *counts: seen.append(counts),
    )

    assert seen == [(1, 2), (2, 2)]


@pytest.mark.parametrize("task", TASKS)
def test_the_chosen_tile_fits_into_half_of_the_free_memory(task: str) -> None:
    settings = get_task(task).arch
    free = 2 * 2**30

    tile = choose_tile(free, settings, 50_000, 50_000)

    assert tile is not None
    assert tile % settings.multiple_of == 0
    assert tile**2 * bytes_per_pixel(settings) <= free / 2 < (2 * tile) ** 2 * bytes_per_pixel(settings)


def test_a_photo_that_fits_is_not_cut() -> None:
    assert choose_tile(8 * 2**30, get_task("deblur").arch, 512, 512) is None
    assert choose_tile(8 * 2**30, get_task("deblur").arch, 512, 512, batch=16) is not None
