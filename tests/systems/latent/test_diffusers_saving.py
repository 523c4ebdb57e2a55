"""Latent networks are written in diffusers' layout: they read back equal, and diffusers' own classes load them."""

from dataclasses import replace
from pathlib import Path
from types import ModuleType

import pytest
import torch

from diffir._basicsr import prepare_torchvision
from diffir.api import load_network
from diffir.cli.main import main
from diffir.errors import UsageError
from diffir.systems.latent.diffusers_save import write_diffusers_folder
from diffir.systems.latent.network import LatentDiffusion
from diffir.systems.latent.settings import LatentSettings
from tests.systems.latent.released_files import HOLES, KL, LABELS, SMALL, random_network

RESIZING = replace(SMALL, denoiser=replace(SMALL.denoiser, updown_blocks=True, scale_shift=True))
ONE_HEAD = replace(SMALL, denoiser=replace(SMALL.denoiser, heads=1, head_channels=0))
WRITTEN = {"vq": SMALL, "kl": KL, "holes": HOLES, "resizing blocks": RESIZING, "one head": ONE_HEAD}


def diffusers_library() -> ModuleType:
    """The library, after the repair that some builds of torchvision need, which it imports."""
    prepare_torchvision()
    return pytest.importorskip("diffusers")


def written(folder: Path, settings: LatentSettings, dtype: torch.dtype = torch.float32) -> LatentDiffusion:
    network = random_network(settings)
    write_diffusers_folder(network, folder, dtype)
    return network


@pytest.mark.parametrize("settings", WRITTEN.values(), ids=WRITTEN)
def test_a_network_reads_back_bit_by_bit(tmp_path: Path, settings: LatentSettings) -> None:
    network = written(tmp_path / "ldm", settings)

    again, card = load_network(tmp_path / "ldm")

    assert card.part == "denoiser"
    assert again.settings.condition == settings.condition
    expected = network.state_dict()
    assert again.state_dict().keys() == expected.keys()
    assert all(torch.equal(tensor, expected[name]) for name, tensor in again.state_dict().items())


def test_an_autoencoder_alone_reads_back_bit_by_bit(tmp_path: Path) -> None:
    autoencoder = random_network(KL).autoencoder
    write_diffusers_folder(autoencoder, tmp_path / "vae", torch.float32)

    again, card = load_network(tmp_path / "vae")

    assert card.part == "autoencoder"
    assert all(torch.equal(tensor, again.state_dict()[name]) for name, tensor in autoencoder.state_dict().items())


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        (replace(SMALL, diffusion=replace(SMALL.diffusion, residual=True)), r"diffusion\.residual True would become"),
        (replace(SMALL, diffusion=replace(SMALL.diffusion, spacing="trailing")), r"diffusion\.spacing trailing"),
        (replace(SMALL, autoencoder=replace(SMALL.autoencoder, z_channels=4)), None),
        (LABELS, "cannot hold this network"),
    ],
)
def test_what_the_layout_cannot_hold_is_refused_and_leaves_nothing(tmp_path: Path, settings, message) -> None:
    network = random_network(settings)

    if message is None:  # a codebook may be narrower than the encoder's output
        write_diffusers_folder(network, tmp_path / "ldm", torch.float32)
        assert load_network(tmp_path / "ldm")[0].settings.autoencoder.z_channels == 4
        return
    with pytest.raises(UsageError, match=message):
        write_diffusers_folder(network, tmp_path / "ldm", torch.float32)
    assert not (tmp_path / "ldm").exists()


def test_several_scales_of_latents_are_refused(tmp_path: Path) -> None:
    network = LatentDiffusion(KL)
    network.latent_scale[0] = 2

    with pytest.raises(UsageError, match="one for each channel"):
        write_diffusers_folder(network, tmp_path / "ldm", torch.float32)


def test_diffir_convert_writes_the_folder(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    written(tmp_path / "ldm", SMALL)
    target = tmp_path / "again"

    assert main(["convert", str(tmp_path / "ldm"), str(target), "--layout", "diffusers", "--fp32"]) == 0
    assert "in the layout of diffusers" in capsys.readouterr().out
    for path in (tmp_path / "ldm").rglob("*.*"):
        assert (target / path.relative_to(tmp_path / "ldm")).read_bytes() == path.read_bytes()
    assert main(["convert", str(tmp_path / "ldm"), str(target), "--layout", "diffusers"]) == 2
    assert "exists and is no empty folder" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["photo"], "the layout of diffusers has no networks of the system diffir"),
        (["ldm_sr_x4"], "the layout of diffusers has one scale of latents"),
        (["ldm_sr_x4", "--licence", "MIT"], "--licence is for diffir's card"),
    ],
)
def test_what_has_no_such_folder_is_one_line(tmp_path: Path, capsys, words: list[str], message: str) -> None:
    assert main(["convert", words[0], str(tmp_path / "out"), *words[1:], "--layout", "diffusers"]) == 2
    assert message in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


@pytest.mark.slow
@pytest.mark.parametrize("settings", WRITTEN.values(), ids=WRITTEN)
@torch.no_grad()
def test_the_classes_of_diffusers_load_it_and_compute_the_same(tmp_path: Path, settings: LatentSettings) -> None:
    diffusers = diffusers_library()
    network, folder = written(tmp_path / "ldm", settings), tmp_path / "ldm"
    first, kind = ("vae", "AutoencoderKL") if settings is KL else ("vqvae", "VQModel")

    autoencoder = getattr(diffusers, kind).from_pretrained(folder / first).eval()
    denoiser = diffusers.UNet2DModel.from_pretrained(folder / "unet").eval()
    scheduler = diffusers.DDIMScheduler.from_pretrained(folder / "scheduler")

    noisy, time = torch.randn(2, denoiser.config.in_channels, 8, 8), torch.tensor([10, 757])
    latents = noisy[:, : settings.autoencoder.latent_channels]
    assert torch.allclose(network.denoiser(noisy, time), denoiser(noisy, time).sample, atol=1e-5)
    assert torch.allclose(network.autoencoder.decode(latents), autoencoder.decode(latents).sample, atol=1e-5)
    assert torch.allclose(scheduler.alphas_cumprod, torch.tensor(network.schedule.alphas).float(), atol=1e-6)


@pytest.mark.slow
def test_the_pipeline_of_diffusers_loads_a_network_that_enlarges(tmp_path: Path) -> None:
    pytest.importorskip("transformers")  # without it, diffusers does not have the pipeline
    diffusers = diffusers_library()
    written(tmp_path / "ldm", SMALL)

    pipeline = diffusers.LDMSuperResolutionPipeline.from_pretrained(tmp_path / "ldm")

    result = pipeline(torch.rand(1, 3, 16, 16) * 2 - 1, num_inference_steps=2, eta=0, output_type="np").images
    assert result.shape == (1, 32, 32, 3)
