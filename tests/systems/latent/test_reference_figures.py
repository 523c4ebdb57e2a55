"""The networks, losses, gradients and sampling paths equal those of the released implementation."""

import gzip
import json

import pytest
import torch
from torch import Tensor, nn

from diffir.systems.latent.network import LatentDiffusion
from diffir.systems.latent.rows import ROWS
from diffir.systems.latent.samplers import ddim
from diffir.systems.latent.schedule import Predicted
from tests.systems.latent.reference import (
    AUTOENCODERS,
    DENOISERS,
    Case,
    autoencoder_of,
    denoiser_of,
    read_case,
    schedule_of,
)

TOLERANCE = {torch.float64: 1e-6, torch.float32: 1e-4}  # of the largest value; the figures are stored in float32
DTYPES = pytest.mark.parametrize("dtype", [torch.float64, torch.float32], ids=["double", "single"])


def assert_equal(found: Tensor, case: Case, array: str) -> None:
    expected = torch.from_numpy(case.arrays[array]).double()
    error = (found.detach().double().reshape(expected.shape) - expected).abs().max() / expected.abs().max()
    assert error < TOLERANCE[case.dtype], f"{case.name}: {array} differs by {error:.1e}"


def assert_gradient_norms(network: nn.Module, case: Case, key: str) -> None:
    norms = case.config[key]
    for name, parameter in network.named_parameters():
        assert parameter.grad is not None
        assert float(parameter.grad.norm()) == pytest.approx(norms[name], rel=1e-4, abs=1e-6 * max(norms.values()))


@DTYPES
@pytest.mark.parametrize("name", [name for name in AUTOENCODERS if name.startswith("vq")])
def test_an_autoencoder_with_a_codebook(shared, name, dtype):
    case = read_case(shared, name, dtype)
    network, images = autoencoder_of(case), case["x"].requires_grad_(True)

    latents = network.encode(images)
    rounded = network.codebook(latents)
    decoded = network.decode(latents)
    (decoded.abs().mean() + rounded.loss).backward()

    assert_equal(latents, case, "prequant")
    assert_equal(rounded.latents, case, "quant")
    assert rounded.codes.flatten().tolist() == case.arrays["indices"].flatten().tolist()
    assert_equal(rounded.loss, case, "codebook_loss")
    assert_equal(decoded, case, "decoded")
    if dtype == torch.float64:
        assert_equal(images.grad, case, "grad_x")
        assert_gradient_norms(network, case, "gradient_norms of mean(|decoded|) + codebook_loss")


@DTYPES
@pytest.mark.parametrize("name", [name for name in AUTOENCODERS if name.startswith("kl")])
def test_an_autoencoder_with_a_normal_latent(shared, name, dtype):
    case = read_case(shared, name, dtype)
    network = autoencoder_of(case)

    latents = network.distribution(case["x"])
    drawn = latents.sample(case["noise"])

    assert_equal(torch.cat([latents.mean, latents.log_variance], dim=1), case, "moments")
    assert_equal(network.encode(case["x"]), Case(name, {}, {"mean": latents.mean.detach().numpy()}, {}, dtype), "mean")
    assert_equal(drawn, case, "z")
    assert_equal(latents.divergence(), case, "kl")
    assert_equal(network.decode(drawn), case, "decoded")


def output_of(network: nn.Module, case: Case, noisy: Tensor, time: Tensor) -> Tensor:
    concat = case.optional("concat")
    return network(noisy if concat is None else torch.cat([noisy, concat], dim=1), time, case.optional("context"))


@DTYPES
@pytest.mark.parametrize("name", DENOISERS)
def test_a_denoiser(shared, name, dtype):
    case = read_case(shared, name, dtype)
    network, schedule = denoiser_of(case), schedule_of(case)
    steps = torch.tensor(case.config["t"])

    noisy = schedule.noisy(case["x"], case["noise"], steps)
    output = output_of(network, case, noisy, steps.to(dtype))
    loss = (output - case["noise"]).abs().mean()
    loss.backward()

    assert_equal(output_of(network, case, case["x"], steps.to(dtype)), case, "eps")
    assert_equal(torch.tensor(schedule.alphas), case, "alphas_cumprod")
    assert_equal(noisy, case, "x_t")
    assert_equal(loss, case, "loss_l1")
    assert_equal((output - case["noise"]).square().mean(), case, "loss_l2")
    if dtype == torch.float64:
        assert_gradient_norms(network, case, "gradient_norms of loss_l1")


@DTYPES
@pytest.mark.parametrize("eta", [0, 1])
@pytest.mark.parametrize("name", DENOISERS)
@torch.no_grad()
def test_five_steps_of_ddim(shared, name, eta, dtype):
    case = read_case(shared, name, dtype)
    network, schedule = denoiser_of(case), schedule_of(case)
    path, noise = case[f"ddim_eta{eta}"], case["ddim_noise"]

    def predict(noisy: Tensor, time: int) -> Predicted:
        output = output_of(network, case, noisy, torch.full((len(noisy),), time, dtype=dtype))
        return schedule.predicted(output, noisy, time)

    assert schedule.times(5) == case.config["ddim_timesteps"]
    found = ddim(predict, schedule.alphas, schedule.times(5), path[0], eta, lambda step: noise[step])

    assert_equal(torch.stack([path[0], *found]), case, f"ddim_eta{eta}")


def test_full_size_networks_have_the_released_keys(shared):
    with gzip.open(shared / "reference/ldm/official_keys.json.gz") as file:
        released = json.load(file)
    for entry, keys in released.items():
        kind, name = entry.split("/")
        with torch.device("meta"):
            network = LatentDiffusion(ROWS[name].settings)
        parts = {"": network.autoencoder}
        if kind == "ldm":
            parts = {"model.diffusion_model.": network.denoiser, "first_stage_model.": network.autoencoder}

        found = {f"{at}{key}": list(t.shape) for at, part in parts.items() for key, t in part.state_dict().items()}

        assert found == keys, name
