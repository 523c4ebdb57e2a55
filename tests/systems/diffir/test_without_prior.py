"""Tests of networks without a prior: they equal a network under a fixed prior, and have one stage of training."""

from dataclasses import replace

import pytest
import torch

from diffir.api import load_config
from diffir.config import TrainConfig
from diffir.errors import ConfigError, UsageError
from diffir.inference.options import RestoreOptions
from diffir.inference.restorer import Restorer
from diffir.shipped_files import option_file
from diffir.system import Pair
from diffir.systems.diffir import DiffIR
from diffir.systems.diffir.folded_prior import fold_prior
from diffir.systems.diffir.partial_load import take_what_fits
from diffir.systems.diffir.restore_options import DiffIROptions
from diffir.systems.diffir.stages import StageOne, StageTwo
from diffir.systems.diffir.system import DIFFIR
from diffir.systems.diffir.tasks import get_task

TINY = get_task("denoise_tiny").arch
ALONE = replace(TINY, prior_width=0)
CPU = torch.device("cpu")


def network_of(settings=TINY) -> DiffIR:
    torch.manual_seed(0)
    return DiffIR(settings).eval().requires_grad_(False)


def test_a_folded_network_restores_as_the_network_under_that_prior_and_is_smaller():
    network, prior, lq = network_of(), torch.rand(1, TINY.prior_width), torch.rand(2, 3, 32, 32)

    folded = fold_prior(network, prior)

    torch.testing.assert_close(folded(lq), network.restore(lq, prior.expand(2, -1)))
    numbers = [sum(tensor.numel() for tensor in one.parameters()) for one in (folded, network)]
    assert numbers[0] < 0.9 * numbers[1]


def test_folding_needs_a_prior_of_the_right_width():
    for network, prior in ((network_of(), torch.rand(1, 4)), (network_of(ALONE), torch.rand(1, 4))):
        with pytest.raises(UsageError, match="a prior of 4 numbers"):
            DIFFIR.fold_prior(network, prior)


def test_a_new_network_without_a_prior_begins_with_gain_one_and_no_shift():
    modulation = network_of(ALONE).dirformer.latent[0].attn.modulation

    gain, shift = modulation(torch.ones(1, 1))

    assert torch.equal(gain, torch.ones_like(gain))
    assert not shift.any()


@pytest.mark.parametrize("engine", ["torch", "auto"])
def test_strips_and_compiled_kernels_restore_as_the_network_does(engine):
    network, photo = network_of(ALONE), torch.rand(1, 3, 48, 64)
    how = DIFFIR.engine(network, CPU, "fp32", DiffIROptions(engine=engine, stats="global"))
    restorer = Restorer(how, "fp32", RestoreOptions(), name="alone")

    restored = restorer.restore_tensor(photo)

    torch.testing.assert_close(restored, network(photo), atol=1e-4, rtol=0)


def test_a_network_that_was_trained_on_whole_views_keeps_its_margin_and_its_small_copy():
    whole = fold_prior(network_of(replace(TINY, prior_view="whole", tone_side=32)), torch.ones(1, TINY.prior_width))
    how = DIFFIR.engine(whole, CPU, "fp32", DiffIROptions(stats="global"))

    restored = Restorer(how, "fp32", RestoreOptions(), name="alone").restore_tensor(torch.rand(1, 3, 48, 64))

    assert (how.facts.margin > 0, how.facts.tone_side) == (True, 32)
    assert restored.isfinite().all()


def test_what_needs_a_prior_is_refused():
    how = DIFFIR.engine(network_of(ALONE), CPU, "fp32", DiffIROptions(stats="global"))
    restorer, photo = Restorer(how, "fp32", RestoreOptions(), name="alone"), torch.rand(1, 3, 32, 32)

    assert (how.has_prior, how.seed_meaning, how.in_use("fp32")["prior"]) == (False, "", "none")
    for wrong in (
        lambda: restorer.estimate_prior(photo),
        lambda: restorer.restore_tensor(photo, prior=torch.ones(1, 1)),
    ):
        with pytest.raises(UsageError, match="has no prior"):
            wrong()


def test_there_is_no_stage_one():
    with pytest.raises(ConfigError, match="no stage 1"):
        StageOne(ALONE, TrainConfig(total_iter=1))


@pytest.mark.parametrize(
    ("override", "complaint"),
    [
        ("stages=[1, 2]", "stage 1 is for networks with a prior"),
        ("path.start={prior: photo}", "weights of stage 1 are for networks with a prior"),
        ("stage2.encoder_iter=1", "stage 2: encoder_iter is for networks with a prior"),
        ("stage2.encoder_lr=0.001", "stage 2: encoder_lr is for networks with a prior"),
        ("train.prior_weight=0.5", "stage 2: prior_weight is for networks with a prior"),
    ],
)
def test_options_of_the_prior_are_refused_when_the_file_is_read(override, complaint):
    file, alone = option_file("debug/tiny"), ["network_g.settings.prior_width=0", "stage2.encoder_iter=0"]
    assert list(load_config(file, alone).run_stages) == ["diffusion"]
    load_config(file, [override])

    with pytest.raises(ConfigError, match=complaint):
        load_config(file, [*alone, override])


def test_training_changes_gains_and_shifts_by_the_loss_of_the_image_alone():
    stage = StageTwo(None, TrainConfig(total_iter=1), network=DiffIR(ALONE))
    lq = torch.rand(2, 3, 32, 32)

    losses = next(stage.losses(Pair(lq, lq), stage.phases[0], stage.draw_noise(lq, torch.Generator())))
    losses.total.backward()

    assert [phase.name for phase in stage.phases] == ["joint"]
    assert losses.terms.keys() == {"l_pix"}
    assert all(parameter.grad is not None for parameter in stage.network.parameters())


def test_a_network_with_a_prior_begins_near_its_donor_without_one():
    donor, lq = network_of(ALONE), torch.rand(1, 3, 32, 32)
    with torch.no_grad():
        for parameter in donor.parameters():
            parameter.add_(0.05 * torch.randn_like(parameter))
    stage = StageOne(TINY, TrainConfig(total_iter=1))

    stage.take_over(donor, lq)

    restored, expected = stage.network.restore(lq, stage.network.oracle_prior(lq, lq)).detach(), donor(lq)
    assert (restored - expected).abs().mean() < 0.2 * (expected - lq).abs().mean()
    blocks = stage.network.dirformer.latent[0].ffn.modulation.linear.weight
    assert blocks.std(dim=1).min() > 0  # each number of the prior has an effect of its own


def test_donors_without_a_prior_keep_the_modulation_of_other_widths():
    network, donor = network_of(replace(ALONE, dim=16)), network_of(TINY)
    before = network.dirformer.latent[0].attn.modulation.linear.weight.clone()

    take_what_fits(network.dirformer, donor.dirformer)

    assert torch.equal(network.dirformer.latent[0].attn.modulation.linear.weight, before)
