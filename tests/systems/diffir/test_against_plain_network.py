"""Tests that outputs and gradients equal those of the network as written in the paper, for every row of the table."""

from dataclasses import replace

import pytest
import torch
from torch import Tensor

from diffir.systems.diffir import ArchSettings, DiffIR
from diffir.systems.diffir.dirformer import DMTA
from diffir.systems.diffir.tasks import TASKS
from tests.systems.diffir.plain_network import PlainDIRformer

ROWS = ("sr_x4", "sr_x2", "realsr_x1", "deblur", "inpaint", "denoise_tiny")


def small(settings: ArchSettings) -> ArchSettings:
    return replace(settings, dim=8, num_blocks=(1, 1, 1, 1), num_refinement_blocks=1, prior_width=16, cpen_blocks=1)


@pytest.fixture(params=ROWS)
def network(request: pytest.FixtureRequest) -> DiffIR:
    torch.manual_seed(0)
    network = DiffIR(small(TASKS[request.param].arch))
    with torch.no_grad():
        # With ones and zeros, exchanged parameters would not be noticed.
        for parameter in network.dirformer.parameters():
            parameter.add_(0.1 * torch.randn_like(parameter))
    return network


def inputs(network: DiffIR, batch: int, dtype: torch.dtype = torch.float32) -> tuple[Tensor, Tensor]:
    settings = network.settings
    lq = torch.rand(batch, settings.in_channels, 2 * settings.multiple_of, 3 * settings.multiple_of, dtype=dtype)
    return lq, torch.rand(batch, settings.prior_width, dtype=dtype) + 0.5


@pytest.mark.parametrize(("dtype", "tolerance"), [(torch.float32, 1e-5), (torch.float64, 1e-10)])
@pytest.mark.parametrize("batch", [1, 2])
@torch.no_grad()
def test_the_network_equals_its_literal_form(network, batch, dtype, tolerance):
    lq, prior = inputs(network, batch, dtype)
    network = network.to(dtype)

    restored, expected = network.restore(lq, prior), PlainDIRformer(network).to(dtype)(lq, prior)

    assert (restored - expected).abs().max() <= tolerance * expected.abs().max()


@pytest.mark.parametrize("batch", [1, 2])
def test_gradients_equal_those_of_the_literal_form(network, batch):
    lq, prior = inputs(network, batch, torch.float64)
    network = network.double()
    plain, weights = PlainDIRformer(network).double(), torch.rand_like(network.restore(lq, prior))

    (network.restore(lq, prior) * weights).sum().backward()
    found = {name: parameter.grad.clone() for name, parameter in network.dirformer.named_parameters()}
    network.zero_grad()  # both share the layers that are a single convolution
    (plain(lq, prior) * weights).sum().backward()

    for name, parameter in plain.named_parameters():
        torch.testing.assert_close(found[name], parameter.grad, rtol=1e-8, atol=1e-10 * parameter.grad.abs().max())


def test_a_channel_of_zeros_has_a_gradient(network):
    lq, prior = inputs(network, 1)
    with torch.no_grad():
        network.dirformer.latent[0].attn.qkv.weight[:3] = 0

    network.restore(lq, prior).sum().backward()

    assert all(torch.isfinite(parameter.grad).all() for parameter in network.dirformer.parameters())


@torch.no_grad()
def test_attention_over_many_pixels_does_not_overflow_in_fp16():
    dmta = DMTA(8, 2, 16)
    x = 3 * torch.randn(1, 8, 200, 200)
    dmta.qkv.weight.mul_(4)

    exact, half = dmta(x), dmta.half()(x.half()).float()

    torch.testing.assert_close(half, exact, atol=0.02 * exact.abs().max().item(), rtol=0)
