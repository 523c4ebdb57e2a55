"""Tests of the initial weights of training stages."""

from pathlib import Path

import pytest
import torch

from diffir.api import load_config, load_network
from diffir.config import RunConfig
from diffir.errors import ConfigError
from diffir.systems.diffir import DiffIR
from tests.diffir_objects import arch_of, begun_stage, card_of, folder_of, save_weights

TINY = Path(__file__).resolve().parents[3] / "options/debug/tiny.yml"
GAN = "{network: patch, num_feat: 4}"


@pytest.fixture
def config(tmp_path) -> RunConfig:
    """A run whose stages 1 and 2 are finished; every stage has a discriminator."""
    sections = (f"{section}.gan={GAN}" for section in ("train", "stage2", "stage3"))
    config = load_config(TINY, ["stages=[1,2,3]", f"path.experiments_root={tmp_path}", *sections])
    settings = arch_of(config)
    for stage, name in enumerate(("prior", "diffusion"), 1):
        card = card_of("tiny", settings, stage)
        save_weights(folder_of(config).weights(name), DiffIR(settings, stage).state_dict(), card)
    return config


def discriminator(config: RunConfig, stage: str) -> torch.Tensor:
    begun = begun_stage(config, stage, lambda: torch.rand(1, 3, 32, 32))
    return next(begun.discriminator.parameters())


def test_a_stage_begins_anew_with_the_same_numbers_and_another_stage_with_others(config):
    second, again, third = (discriminator(config, stage) for stage in ("diffusion", "diffusion", "gan"))

    assert torch.equal(second, again)
    assert not torch.equal(second, third)


def test_building_a_stage_leaves_the_generator_of_the_process_alone(config):
    before = torch.get_rng_state()

    discriminator(config, "prior")

    assert torch.equal(torch.get_rng_state(), before)


def test_a_first_stage_of_other_settings_starts_from_what_fits_if_it_is_told_so(config):
    weights = folder_of(config).weights("diffusion")
    wider = [f"path.pretrain_network_g={weights}", "network_g.settings.in_channels=4"]
    batch = torch.rand(1, 4, 32, 32)
    donor = load_network(weights)[0]

    with pytest.raises(ConfigError, match=r"other network settings.*strict_load_g=false"):
        begun_stage(load_config(TINY, wider), "prior", lambda: batch)
    begun = begun_stage(load_config(TINY, [*wider, "path.strict_load_g=false"]), "prior", lambda: batch)

    ours, theirs = (network.dirformer.latent.state_dict() for network in (begun.network, donor))
    assert all(torch.equal(ours[name], theirs[name]) for name in theirs)
    begun.network.cpen.mlp[-1].weight.detach().zero_()  # leaves the constant that the oracle prior starts from
    prior = donor.estimate_prior(batch[:, :3], noise=torch.zeros(1, begun.network.settings.prior_width))
    torch.testing.assert_close(begun.network.oracle_prior(batch, batch[:, :3]), prior)


def test_a_second_stage_with_more_blocks_starts_equal_to_the_weights_that_it_continues(config):
    weights = folder_of(config).weights("diffusion")
    donor = load_network(weights)[0].eval()
    alone = ["stages=[2]", f"path.start={{diffusion: {weights}}}", "stage2.prior_weight=0", "stage2.encoder_iter=0"]
    deeper = [*alone, "network_g.settings={num_refinement_blocks: 3}"]
    batch = torch.rand(1, 3, 32, 32)

    with pytest.raises(ConfigError, match=r"other network settings.*strict_load_g=false.*blocks"):
        begun_stage(load_config(TINY, deeper), "diffusion", lambda: batch)
    begun = begun_stage(load_config(TINY, [*deeper, "path.strict_load_g=false"]), "diffusion", lambda: batch)

    assert len(begun.network.dirformer.refinement) == 3 > len(donor.dirformer.refinement)
    noise = torch.zeros(1, donor.settings.prior_width)
    priors = [network.estimate_prior(batch, noise=noise) for network in (begun.network.eval(), donor)]
    torch.testing.assert_close(begun.network.restore(batch, priors[0]), donor.restore(batch, priors[1]))


def test_a_second_stage_of_another_width_than_its_weights_is_refused_with_the_settings_that_may_differ(config):
    weights = folder_of(config).weights("diffusion")
    wider = [
        *("stages=[2]", f"path.start={{diffusion: {weights}}}", "stage2.prior_weight=0", "stage2.encoder_iter=0"),
        *("path.strict_load_g=false", "network_g.settings={dim: 16}"),
    ]

    with pytest.raises(ConfigError, match="differ in more than the settings num_blocks, num_refinement_blocks"):
        begun_stage(load_config(TINY, wider), "diffusion", lambda: torch.rand(1, 3, 32, 32))
