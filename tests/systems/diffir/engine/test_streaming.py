"""Tests that strips do not change the result, for all rows of the task table and all statistics."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import Tensor

from diffir.inference.source import Source
from diffir.inference.strips import split_rows
from diffir.systems.diffir import ArchSettings, DiffIR
from diffir.systems.diffir.engine.attention import RecordedStatistics, Statistics, Windows
from diffir.systems.diffir.engine.streaming import StreamedNetwork
from diffir.systems.diffir.tail import FusedTail, Tail
from diffir.systems.diffir.tasks import TASKS

CPU = torch.device("cpu")


def small(settings: ArchSettings) -> ArchSettings:
    return replace(
        settings,
        dim=8,
        num_blocks=(1, 1, 1, 1),
        num_refinement_blocks=1,
        prior_width=16,
        cpen_blocks=1,
        heads=(1, 2, 2, 4),
        hole_fill="zeros",  # the sources below have filled the holes already
    )


@pytest.fixture(params=TASKS)
def network(request: pytest.FixtureRequest) -> DiffIR:
    torch.manual_seed(0)
    return DiffIR(small(TASKS[request.param].arch)).eval().requires_grad_(False)


def source_for(network: DiffIR, height: int = 42, width: int = 21) -> Source:
    random = np.random.default_rng(0)
    masks = random.random((2, height, width)) > 0.7 if network.settings.has_mask else None
    settings = replace(network.settings, hole_fill="membrane") if network.settings.has_mask else network.settings
    return Source.whole(random.random((2, height, width, 3), np.float32), masks, settings)


def streamed(network: DiffIR, source: Source, prior: Tensor, strip: int, statistics: Statistics) -> Tensor:
    scale = network.settings.scale
    result = torch.full((2, 3, scale * source.height, scale * source.width), torch.nan)

    def write(top: int, rows: Tensor) -> None:
        result[..., top : top + rows.shape[-2], :] = rows

    output = network.dirformer.output
    tail = FusedTail(output) if isinstance(output, Tail) else None
    StreamedNetwork(network, CPU, strip, tail=tail).restore(source, prior, write, statistics)
    return result


@pytest.mark.parametrize("strip", [1, 200, 10**6])
def test_a_streamed_photo_equals_the_whole(network: DiffIR, strip: int) -> None:
    source, prior = source_for(network), torch.rand(2, network.settings.prior_width) + 0.5

    result = streamed(network, source, prior, strip, Statistics())

    torch.testing.assert_close(result, network.restore(source.rows(0, source.height), prior), atol=2e-6, rtol=0)


@pytest.mark.parametrize("strip", [1, 200, 10**6])
def test_a_streamed_condition_equals_that_of_the_whole(network: DiffIR, strip: int) -> None:
    source = source_for(network)

    condition = StreamedNetwork(network, CPU, strip).condition(source)

    torch.testing.assert_close(condition, network.condition(source.rows(0, source.height)), atol=1e-6, rtol=0)


def test_windows_that_span_the_photo_give_the_statistics_of_the_whole(network: DiffIR) -> None:
    source, prior = source_for(network), torch.rand(2, network.settings.prior_width) + 0.5
    everywhere = Statistics(Windows(network.settings.multiple_of, 100))

    result = streamed(network, source, prior, 200, everywhere)

    torch.testing.assert_close(result, streamed(network, source, prior, 200, Statistics()), atol=2e-6, rtol=0)


def test_strips_do_not_change_what_windows_give(network: DiffIR) -> None:
    source, prior = source_for(network), torch.rand(2, network.settings.prior_width) + 0.5
    local = Statistics(Windows(network.settings.multiple_of, 0))

    one, many = (streamed(network, source, prior, strip, local) for strip in (10**6, 1))

    torch.testing.assert_close(one, many, atol=2e-6, rtol=0)
    assert (one - streamed(network, source, prior, 1, Statistics())).abs().max() > 1e-5


def test_statistics_recorded_over_the_whole_are_those_of_the_whole(network: DiffIR) -> None:
    source, prior = source_for(network), torch.rand(2, network.settings.prior_width) + 0.5
    recorded = RecordedStatistics()

    first = streamed(network, source, prior, 200, recorded)
    recorded.is_replaying = True

    assert torch.equal(first, streamed(network, source, prior, 200, recorded))


def test_a_failed_run_leaves_no_trace_in_recorded_statistics() -> None:
    recorded, dmta = RecordedStatistics(), DiffIR(small(TASKS["deblur"].arch)).dirformer.latent[0].attn

    with pytest.raises(ZeroDivisionError), recorded.attempt():
        recorded.settle(dmta, None)
        raise ZeroDivisionError

    recorded.is_replaying = True
    with pytest.raises(KeyError):
        recorded.known(dmta)


def test_progress_rises_and_stays_below_the_end(network: DiffIR) -> None:
    source, seen = source_for(network), []

    StreamedNetwork(network, CPU, 200).restore(
        source, torch.rand(2, network.settings.prior_width), lambda top, rows: None, Statistics(), seen.append
    )

    assert seen == sorted(set(seen))
    assert 0.5 < seen[-1] < 1


def test_strips_cover_all_rows_once() -> None:
    strips = list(split_rows(23, 5, 2))

    assert [row for strip in strips for row in range(strip.top, strip.bottom)] == list(range(23))
    assert (strips[0].above, strips[-1].below) == (0, 0)
    assert all(strip.above == 2 for strip in strips[1:])
