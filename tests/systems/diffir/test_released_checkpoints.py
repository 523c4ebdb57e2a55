"""Tests of reading released checkpoints: settings are inferred at widths that no row has, and bad files are refused."""

import importlib.util
from dataclasses import replace

import pytest
import torch

from diffir.api import load_network
from diffir.errors import WeightsError
from diffir.systems.diffir import ArchSettings, DiffIR
from diffir.systems.diffir.released import matching_tasks, read_official

BASE = ArchSettings(dim=8, num_blocks=(2, 1, 1, 1), num_refinement_blocks=1, cpen_blocks=2, prior_width=32)
SR = replace(BASE, upsample=4, global_skip="nearest", norm="bias_free")
VARIANTS = {
    "plain": BASE,
    "wide": replace(BASE, dim=24, heads=(2, 3, 4, 6), ffn_expansion=2.66),
    "odd expansion": replace(BASE, dim=20, ffn_expansion=1.73),
    "deep": replace(BASE, num_blocks=(1, 2, 3, 12), num_refinement_blocks=0, cpen_blocks=11),
    "long chain": replace(BASE, num_timesteps=8, linear_start=0.05, linear_end=0.95, denoiser_blocks=3),
    "x4": SR,
    "x2": replace(SR, unshuffle=2),
    "x1": replace(SR, unshuffle=4),
    "x2 by one doubling": replace(SR, upsample=2),
    "inpainting": replace(BASE, in_channels=4, global_skip="none"),
    "grey": replace(BASE, in_channels=1, out_channels=1),
}


@pytest.mark.parametrize("variant", VARIANTS)
def test_all_settings_are_inferred_from_a_stage_2_file(upstream_state, variant):
    settings = VARIANTS[variant]
    network = DiffIR(settings, 2)

    official = read_official(upstream_state(network), "file")

    assert (official.stage, official.settings) == (2, settings)
    assert official.state.keys() == network.state_dict().keys()
    assert all(torch.equal(official.state[name], tensor) for name, tensor in network.state_dict().items())


@pytest.mark.parametrize("variant", [name for name in VARIANTS if name != "long chain"])
def test_all_settings_are_inferred_from_a_stage_1_file(upstream_state, variant):
    official = read_official(upstream_state(DiffIR(VARIANTS[variant], 1)), "file")

    assert (official.stage, official.settings) == (1, VARIANTS[variant])


def test_networks_shared_by_two_rows_match_both():
    from diffir.systems.diffir.tasks import TASKS

    assert matching_tasks(TASKS["sr_x4"].arch, 2) == ("sr_x4", "realsr_x4")
    assert matching_tasks(BASE, 2) == ()


def test_the_second_copies_may_be_the_only_ones(upstream_state, tiny_network):
    state = {k: t for k, t in upstream_state(tiny_network).items() if not k.startswith(("condition.", "denoise."))}

    assert read_official(state, "file").state.keys() == tiny_network.state_dict().keys()


def test_a_file_without_the_constants_has_the_usual_schedule(upstream_state, tiny_network):
    schedule = ("diffusion.betas", "diffusion.alphas_cumprod", "diffusion.posterior_mean")
    state = {k: t for k, t in upstream_state(tiny_network).items() if not k.startswith(schedule)}

    assert read_official(state, "file").settings == tiny_network.settings


@pytest.mark.parametrize("name", ["diffusion.condition.E.0.bias", "diffusion.model.resmlp.0.weight"])
def test_copies_that_differ_are_refused(upstream_state, tiny_network, name):
    state = upstream_state(tiny_network)
    state[name] = state[name] + 1

    with pytest.raises(WeightsError, match="contradicts itself"):
        read_official(state, "file")


@pytest.mark.parametrize("name", ["betas", "alphas_cumprod"])
@pytest.mark.parametrize("dtype", [torch.int32, torch.bool, torch.complex64])
@pytest.mark.filterwarnings("error")
def test_a_schedule_that_is_not_of_real_numbers_is_refused(tiny_network, upstream_state, dtype, name):
    state = upstream_state(tiny_network)
    state[f"diffusion.{name}"] = torch.ones(4, dtype=dtype)

    with pytest.raises(WeightsError, match=rf"file .*: diffusion\.{name} does not"):
        read_official(state, "file")


@pytest.mark.parametrize("name", ["betas", "alphas_cumprod", "posterior_mean_coef1", "posterior_mean_coef2"])
def test_constants_of_another_schedule_are_refused(upstream_state, tiny_network, name):
    state = upstream_state(tiny_network)
    state[f"diffusion.{name}"][1] += 0.01

    with pytest.raises(WeightsError, match="does not belong to a schedule linear in sqrt"):
        read_official(state, "file")


@pytest.mark.parametrize(
    ("name", "shape", "said"),
    [
        ("G.patch_embed.proj.weight", None, "G.patch_embed.proj.weight is missing"),
        ("G.patch_embed.proj.weight", (8,), "unexpected shape"),
        ("G.patch_embed.proj.weight", (8, 5, 3, 3), "no image explains 5 input channels"),
        ("condition.E.0.weight", (8, 3, 3, 3), "no image explains 3 input channels of G and 3 of condition"),
        ("condition.mlp.2.weight", (30, 30), "prior_width must be a multiple of 4"),
        ("G.latent.0.ffn.project_out.weight", (64, 9, 1, 1), "hidden widths"),
        ("G.encoder_level1.7.attn.qkv.weight", (24, 8, 1, 1), "has a gap"),
        ("G.latent.0.attn.temperature", None, "temperature is missing"),
    ],
)
def test_a_file_with_an_odd_tensor_is_refused_in_one_line(upstream_state, tiny_network, name, shape, said):
    state = {k: t for k, t in upstream_state(tiny_network).items() if not k.startswith("diffusion.")}
    state |= {name: torch.zeros(shape)} if shape else {}
    if not shape:
        del state[name]

    with pytest.raises(WeightsError, match=said) as caught:
        read_official(state, "file")
    assert "\n" not in str(caught.value)


@pytest.mark.skipif(importlib.util.find_spec("spandrel") is None, reason="without spandrel, the message asks for it")
@pytest.mark.parametrize("name", ["conv1.weight", "model0.0.weight"])
def test_another_network_is_named_by_its_first_tensors(name, tmp_path):
    torch.save({name: torch.zeros(1)}, tmp_path / "resnet.pth")

    with pytest.raises(WeightsError, match=f"holds a network of another kind than diffir.*: it begins with {name}"):
        load_network(tmp_path / "resnet.pth")


def test_a_bare_state_of_ours_points_to_the_published_file(tiny_network):
    with pytest.raises(WeightsError, match=r"published \.safetensors"):
        read_official(tiny_network.state_dict(), "state.pth")
