"""Tests that the chosen tiles fit into memory for every row of the task table."""

import pytest
import torch

from diffir.systems.diffir.engine.attention import Windows
from diffir.systems.diffir.engine.memory import bytes_of_maps, bytes_of_strip, plan_photo
from diffir.systems.diffir.tasks import TASKS, get_task

CPU = torch.device("cpu")


@pytest.mark.parametrize("task", TASKS)
@pytest.mark.parametrize("is_local", [False, True])
def test_the_chosen_tile_fits_into_half_of_the_free_memory(task: str, is_local: bool) -> None:
    settings, free = get_task(task).arch, 2 * 2**30
    windows = Windows(64, 2) if is_local else None

    tile = plan_photo(CPU, free, settings, windows, 50_000, 50_000).tile

    assert tile is not None
    assert tile % settings.multiple_of == 0
    assert tile**2 * bytes_of_maps(settings, windows) <= free / 2 < (2 * tile) ** 2 * bytes_of_maps(settings, windows)


@pytest.mark.parametrize("task", TASKS)
@pytest.mark.parametrize("free", [4 * 2**30, 120 * 2**30])
def test_on_a_card_strips_take_a_quarter_of_the_memory_or_are_as_large_as_kernels_can_index(
    task: str, free: int
) -> None:
    settings = get_task(task).arch
    widest = settings.dim * max(6, 4 * settings.ffn_expansion, 2 * settings.upsample**2)

    strip = plan_photo(torch.device("cuda"), free, settings, None, 4000, 6000).strip_pixels

    assert strip * bytes_of_strip(settings) <= free / 8
    assert strip * widest < 2**31
    assert strip * bytes_of_strip(settings) > 0.99 * free / 8 or strip * widest > 0.99 * 2**31


def test_a_photo_that_fits_is_not_cut() -> None:
    deblur = get_task("deblur").arch

    assert plan_photo(CPU, 8 * 2**30, deblur, None, 1024, 1024).tile is None
    assert plan_photo(CPU, 8 * 2**30, deblur, None, 1024, 1024, batch=16).tile is not None


def test_on_the_cpu_a_photo_leaves_memory_to_others() -> None:
    tile = plan_photo(CPU, 10**13, get_task("denoise_small").arch, None, 20_000, 20_000).tile

    assert tile is not None
    assert tile**2 * bytes_of_maps(get_task("denoise_small").arch, None) <= 3 * 2**29
