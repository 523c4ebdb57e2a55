"""``tools/training_cost.py`` counts steps, patches and operations of the stages of option files."""

from pathlib import Path

import pytest

from diffir.api import load_config
from diffir.systems.diffir import DiffIR
from diffir.systems.diffir.engine.operation_count import count_multiply_adds
from diffir.systems.diffir.tasks import get_task
from tools.training_cost import operations, segments

OPTIONS = Path(__file__).resolve().parents[2] / "options"


@pytest.mark.slow
def test_a_patch_costs_three_forward_passes_and_the_teachers_prior() -> None:
    settings = get_task("denoise_tiny").arch
    forward = 2 * count_multiply_adds(DiffIR(settings), side=64)

    counted = operations(settings, "diffusion", 64)

    assert 3 * 0.9 * forward < counted < 4 * forward
    assert operations(settings, "diffusion", 64, prior_alone=True) < counted / 2


@pytest.mark.slow
def test_four_times_the_pixels_cost_nearly_four_times_as_much() -> None:
    settings = get_task("deblur").arch

    assert operations(settings, "prior", 256) / operations(settings, "prior", 128) == pytest.approx(4, rel=0.01)


def test_the_phase_of_the_prior_comes_first_and_all_steps_count() -> None:
    config = load_config(OPTIONS / "deblur/s2.yml")

    found = list(segments(config.stages["diffusion"], config))

    assert found[:3] == [(100_000, 192, 8, True), (50_000, 192, 8, False), (60_000, 256, 4, False)]
    assert sum(steps for steps, *_ in found) == 400_000
