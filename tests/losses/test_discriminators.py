"""Discriminators: their size, their spectral norm, and agreement with reference values if these are available."""

import json
from dataclasses import dataclass

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from diffir.losses.adversarial import discriminator_loss, feature_matching, generator_loss, r1_penalty
from diffir.losses.discriminators import SpectralConv, build_discriminator
from diffir.losses.pixel import masked_l1
from diffir.training.discriminator_files import translate_discriminator_keys

PARAMETERS = {"unet_sn": 4_376_897, "patch": 6_962_369}
FILES = {"unet_sn": "discriminator_unet_sn", "patch": "discriminator_nlayer"}
BOTH = pytest.mark.parametrize("name", PARAMETERS)


@dataclass
class Golden:
    arrays: dict[str, np.ndarray]
    network: nn.Module

    def __getitem__(self, name: str) -> Tensor:
        return torch.from_numpy(self.arrays[name])


@pytest.fixture
def golden(request, shared) -> Golden:
    with np.load(shared / f"reference/golden/{FILES[request.param]}.npz") as archive:
        arrays = {name: archive[name] for name in archive.files}
    state = {name[3:]: torch.from_numpy(a) for name, a in arrays.items() if name.startswith("sd/")}
    network = build_discriminator(request.param, 8).eval()
    network.load_state_dict(translate_discriminator_keys(state))
    return Golden(arrays, network)


def both_goldens(test):
    return pytest.mark.parametrize("golden", FILES, indirect=True)(test)


def one_golden(name: str):
    return pytest.mark.parametrize("golden", [name], indirect=True)


def assert_equal(found: Tensor, expected: Tensor, tolerance: float = 1e-5) -> None:
    torch.testing.assert_close(found.double(), expected.double(), rtol=tolerance, atol=tolerance)


@BOTH
def test_a_discriminator_of_64_features_has_the_published_number_of_parameters(name):
    with torch.device("meta"):
        network = build_discriminator(name, 64)

    assert sum(parameter.numel() for parameter in network.parameters()) == PARAMETERS[name]


@BOTH
def test_every_released_tensor_name_is_translated(name, shared):
    listing = json.loads((shared / f"reference/state_dicts/{FILES[name]}.json").read_text())
    entries = listing["state_dict"] if isinstance(listing, dict) else listing
    released = {entry["key"]: torch.empty(entry["shape"], device="meta") for entry in entries}
    with torch.device("meta"):
        ours = build_discriminator(name, 64).state_dict()

    translated = translate_discriminator_keys(released)

    assert {key: tensor.shape for key, tensor in translated.items()} == {key: t.shape for key, t in ours.items()}
    assert translate_discriminator_keys(translated) == translated


def test_a_spectral_convolution_in_training_comes_to_have_norm_one():
    conv = SpectralConv(4, 6, 3)
    with torch.no_grad():
        conv.weight.mul_(50)

    for _ in range(100):
        conv(torch.zeros(1, 4, 4, 4))

    singular = torch.linalg.svdvals(conv.weight.detach().flatten(1))
    assert_equal(torch.dot(conv.u, conv.weight.flatten(1) @ conv.v), singular[0], 1e-3)


def test_two_passes_before_one_backward_give_the_gradients_of_each_pass():
    conv, image = SpectralConv(2, 3, 3), torch.rand(1, 2, 8, 8)

    first = conv(image).sum()
    alone = torch.autograd.grad(first, conv.weight, retain_graph=True)[0]
    conv(image)

    assert torch.equal(torch.autograd.grad(first, conv.weight)[0], alone)


def test_a_discriminator_in_eval_mode_keeps_its_singular_vectors():
    network = build_discriminator("unet_sn", 4).eval()
    before = network.down[0].u.clone()

    network(torch.rand(1, 3, 16, 16))

    assert torch.equal(network.down[0].u, before)


def test_detail_sees_no_difference_of_brightness_and_colour():
    network, image = build_discriminator("detail", 4).eval(), torch.rand(1, 3, 48, 40)

    lighter = network(image + torch.tensor([0.1, -0.2, 0.3])[:, None, None]).logits

    assert network(image).logits.shape == (1, 1, 6, 5)
    assert_equal(lighter, network(image).logits, 1e-4)


def test_detail_learns_within_few_steps_that_restored_images_are_softer():
    network = build_discriminator("detail", 8)
    adam = torch.optim.Adam(network.parameters(), lr=1e-3)
    coarse = torch.rand(16, 3, 16, 16)
    sharp = coarse.repeat_interleave(4, dim=2).repeat_interleave(4, dim=3)
    soft = (sharp + sharp.roll(1, 2) + sharp.roll(1, 3) + sharp.roll((1, 1), (2, 3))) / 4

    for start in range(100):
        some = slice(start % 12, start % 12 + 4)
        adam.zero_grad()
        sum(discriminator_loss(network(sharp[some]).logits, network(soft[some]).logits)).backward()
        adam.step()

    with torch.no_grad():
        of_sharp, of_soft = (network(images).logits.mean((1, 2, 3)) for images in (sharp, soft))
    assert of_sharp.min() > of_soft.max()


@both_goldens
@torch.no_grad()
def test_the_logits_equal_the_reference(golden):
    assert_equal(golden.network(golden["real"]).logits, golden["eval_real"])
    assert_equal(golden.network(golden["fake"]).logits, golden["eval_fake"])


@both_goldens
@torch.no_grad()
def test_a_pass_in_training_and_what_it_leaves_behind_equal_the_reference(golden):
    logits = golden.network.train()(golden["real"]).logits

    assert_equal(logits, golden["train_real"])
    after = {n[6:]: torch.from_numpy(a) for n, a in golden.arrays.items() if n.startswith("after/")}
    state = golden.network.state_dict()
    assert after
    for name, expected in translate_discriminator_keys(after).items():
        assert_equal(state[name], expected)


@one_golden("unet_sn")
@torch.no_grad()
def test_vanilla_losses_equal_the_reference(golden):
    real, fake = (golden.network(golden[name]).logits for name in ("real", "fake"))
    of_real, of_fake = discriminator_loss(real, fake)

    assert_equal(generator_loss(fake), golden["l_g_gan"])
    assert_equal(of_real, golden["l_d_real"])
    assert_equal(of_fake, golden["l_d_fake"])


@one_golden("patch")
def test_nonsaturating_losses_with_r1_and_mask_equal_the_reference(golden):
    images = golden["real"].requires_grad_(True)
    real, fake = golden.network(images).logits, golden.network(golden["fake"]).logits

    of_real, of_fake = discriminator_loss(real, fake, mask=golden["mask"])
    penalty = 0.001 * r1_penalty(real, images)

    assert_equal(penalty, golden["disc_real_gp_scaled"], 1e-8)
    assert_equal(of_real + of_fake + penalty, golden["disc_loss"])
    assert_equal(10 * generator_loss(fake), golden["gen_adv"])


@one_golden("patch")
@torch.no_grad()
def test_feature_matching_and_masked_l1_equal_the_reference(golden):
    real, fake = (golden.network(golden[name]) for name in ("real", "fake"))

    assert_equal(torch.stack([f.mean() for f in real.features[:5]]), means_of_features(golden))
    assert_equal(100 * feature_matching(fake.features, real.features), golden["feature_matching_x100"])
    l1 = masked_l1(golden["fake"], golden["real"], golden["mask"], known_weight=10, hole_weight=0)
    assert_equal(l1, golden["masked_l1_known10_missing0"])


def means_of_features(golden: Golden) -> Tensor:
    return torch.stack([golden[f"feat_real_{i}_mean"] for i in range(5)]).float()
