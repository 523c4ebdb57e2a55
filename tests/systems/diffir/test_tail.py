"""Tests of the output layers that upsample: one convolution computes what the released form computes."""

from dataclasses import replace

import pytest
import torch

from diffir.errors import ConfigError
from diffir.systems.diffir import DiffIR
from diffir.systems.diffir.partial_load import take_what_fits
from diffir.systems.diffir.tail import FusedTail, OneConvTail, Tail
from diffir.systems.diffir.tasks import TASKS, get_task


@pytest.mark.parametrize("upsample", [2, 4, 8])
@torch.no_grad()
def test_the_fused_tail_equals_the_tail_everywhere(upsample: int) -> None:
    torch.manual_seed(0)
    tail, features = Tail(6, 3, upsample), torch.randn(2, 6, 12, 17)
    expected = tail(features)

    torch.testing.assert_close(FusedTail(tail)(features, top=True, bottom=True), expected, atol=1e-5, rtol=0)
    inner = slice(upsample - 1, 1 - upsample)
    alone = OneConvTail.equal_to(tail)(features)
    torch.testing.assert_close(alone[..., inner, inner], expected[..., inner, inner], atol=1e-5, rtol=0)
    assert (alone - expected).abs().max() > 1e-3  # the rim differs, so that FusedTail has something to do


@torch.no_grad()
def test_a_cut_edge_is_left_to_the_caller() -> None:
    torch.manual_seed(0)
    fused, features = FusedTail(Tail(6, 3, 4)), torch.randn(1, 6, 24, 12)
    whole = fused(features, top=True, bottom=True)

    strip = fused(features[..., 6:20, :], top=False, bottom=False)

    torch.testing.assert_close(strip[..., 8:-8, :], whole[..., 32:72, :], atol=1e-5, rtol=0)


@torch.no_grad()
def test_features_too_small_for_a_rim_are_computed_by_the_tail() -> None:
    tail, features = Tail(6, 3, 4), torch.randn(1, 6, 3, 12)

    assert torch.equal(FusedTail(tail)(features, top=True, bottom=True), tail(features))


@pytest.mark.parametrize("name", [name for name, task in TASKS.items() if task.arch.upsample > 1])
def test_a_network_with_one_convolution_starts_from_released_weights(name: str) -> None:
    torch.manual_seed(0)
    small = replace(TASKS[name].arch, dim=8, num_blocks=(1, 1, 1, 1), num_refinement_blocks=1, prior_width=16)
    donor, network = (DiffIR(replace(small, one_conv_tail=one)).dirformer for one in (False, True))
    lq, prior = torch.rand(1, small.in_channels, 32, 64), torch.rand(1, 16) + 0.5

    take_what_fits(network, donor)

    with torch.no_grad():
        edge = small.upsample
        mine, theirs = (net(lq, prior)[..., edge:-edge, edge:-edge] for net in (network, donor))
    torch.testing.assert_close(mine, theirs, atol=1e-5, rtol=0)


def test_a_network_that_keeps_its_size_has_no_such_layers() -> None:
    with pytest.raises(ConfigError, match="one_conv_tail is for networks whose output layers upsample"):
        replace(get_task("deblur").arch, one_conv_tail=True)


@pytest.mark.parametrize("upsample", [2, 4, 8])
@pytest.mark.parametrize("size", [(3, 3), (4, 9), (12, 7)])
def test_in_training_one_step_has_the_result_and_the_gradients_of_the_layers(
    upsample: int, size: tuple[int, int]
) -> None:
    torch.manual_seed(0)
    tail, features = Tail(6, 3, upsample).double(), torch.randn(2, 6, *size, dtype=torch.double, requires_grad=True)
    inputs = (features, *tail.parameters())
    weights = torch.rand(2, 3, *(upsample * side for side in size), dtype=torch.double)

    one_step, layers = tail.in_one_step(features), tail(features)

    torch.testing.assert_close(one_step, layers, atol=1e-12, rtol=1e-10)
    found, expected = (torch.autograd.grad((image * weights).sum(), inputs) for image in (one_step, layers))
    for mine, theirs in zip(found, expected, strict=True):
        torch.testing.assert_close(mine, theirs, atol=1e-10, rtol=1e-8)


def test_training_takes_one_step_for_large_features_and_the_layers_for_small_ones(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    tail, taken = Tail(2, 3, 2), []
    one_step = tail.in_one_step
    monkeypatch.setattr(tail, "in_one_step", lambda x: taken.append(tuple(x.shape)) or one_step(x))

    for batch, height, width in ((1, 64, 64), (1, 63, 64), (4096, 2, 2)):
        tail(torch.rand(batch, 2, height, width))
    with torch.no_grad():
        tail(torch.rand(1, 2, 64, 64))

    assert taken == [(1, 2, 64, 64)]


def test_under_autocast_the_kernels_of_one_step_are_exact() -> None:
    tail = Tail(4, 3, 4)

    with torch.autocast("cpu", torch.bfloat16):
        kernels, biases = tail.kernels()

    assert kernels.dtype == biases.dtype == torch.float32
    assert torch.equal(kernels, tail.kernels()[0])
