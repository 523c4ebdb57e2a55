"""Both stages train with the command that users type, resume bit for bit, and publish weights that restore."""

from pathlib import Path

import numpy as np
import pytest
import torch
import yaml

from diffir.api import load, load_config, load_network
from diffir.cli.main import main
from diffir.errors import ConfigError
from diffir.image_io import write_image
from diffir.systems.latent.autoencoder import Autoencoder
from diffir.systems.latent.regularise import Codebook
from diffir.systems.latent.settings import AutoencoderSettings

CODES = {"regulariser": "vq", "codes": 16, "z_channels": 4, "counts_use": True}


@pytest.fixture(scope="module")
def photos(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("photos")
    random = np.random.default_rng(0)
    for number in range(4):
        coarse = random.integers(0, 256, (8, 8, 3), np.uint8)
        write_image(folder / f"{number}.png", coarse.repeat(8, axis=0).repeat(8, axis=1))
    return folder


def options(photos: Path, runs: Path, **stages: dict) -> dict:
    shared = {"total_iter": 4, "ema_decay": 0.5, "optim_g": {"lr": 1e-3}}
    return {
        "system": "latent",
        "name": "toy",
        "network_g": {"task": "ldm_tiny"},
        "datasets": {
            "train": {
                "dataroot_gt": str(photos),
                "gt_size": 32,
                "batch_size_per_gpu": 2,
                "degradation": [{"type": "recipe", "name": "bicubic_x4"}],
            },
            "val": {"dataroot_gt": str(photos), "gt_size": 32},
        },
        "stages": {name: {**shared, **stages.get(name, {})} for name in ("autoencoder", "denoiser")},
        "val": {"val_freq": 2, "save_images": 0},
        "logger": {"print_freq": 2, "save_checkpoint_freq": 2, "use_tb_logger": False},
        "path": {"experiments_root": str(runs)},
    }


def train(values: dict, folder: Path, *flags: str) -> int:
    path = folder / "toy.yml"
    path.write_text(yaml.safe_dump(values), "utf-8")
    return main(["train", "-opt", str(path), *flags])


def weights(folder: Path, stage: int) -> dict[str, torch.Tensor]:
    return load_network(folder / f"runs/toy/models/toy_stage{stage}.safetensors")[0].state_dict()


@pytest.mark.slow
def test_a_run_trains_both_stages_and_its_weights_restore(photos, tmp_path):
    assert train(options(photos, tmp_path / "runs"), tmp_path) == 0

    restorer = load(tmp_path / "runs/toy/models/toy_stage2.safetensors", device="cpu", steps=2)
    assert restorer.restore(np.zeros((9, 7, 3), np.uint8)).shape == (36, 28, 3)
    first, second = weights(tmp_path, 1), weights(tmp_path, 2)
    assert all(torch.equal(tensor.half(), second[f"autoencoder.{name}"].half()) for name, tensor in first.items())
    assert not torch.equal(second["latent_scale"], torch.ones(4))


KINDS = {
    "kl": {},
    "adversarial": {"autoencoder": {"gan": {"network": "patch", "num_feat": 4}, "gan_start": 3}},
    "codebook": {"autoencoder": {"restart_codes": 1, "lpips_weight": 0}},
    "encoded": {"denoiser": {"encoded_patches": 6}},
}


@pytest.mark.slow
@pytest.mark.parametrize("kind", KINDS)
def test_a_stopped_run_ends_with_the_same_weights(photos, tmp_path, kind):
    values = options(photos, tmp_path / "runs", **KINDS[kind])
    if kind == "codebook":
        values["network_g"]["settings"] = {"autoencoder": CODES}
    whole = tmp_path / "whole"
    whole.mkdir()
    assert train({**values, "path": {"experiments_root": str(whole / "runs")}}, whole) == 0

    # Stop after the second step: keep its state, and throw away what came later.
    assert train(values, tmp_path) == 0
    states = sorted((tmp_path / "runs/toy/training_states").iterdir())
    for state in states[1:]:
        state.unlink()
    for file in (tmp_path / "runs/toy/models").iterdir():
        file.unlink()
    assert train(values, tmp_path, "--auto_resume") == 0

    for stage in (1, 2):
        before, after = weights(whole, stage), weights(tmp_path, stage)
        assert all(torch.equal(before[name], after[name]) for name in before)


@pytest.mark.slow
def test_a_new_denoiser_starts_from_the_autoencoder_inside_another_one(photos, tmp_path):
    assert train(options(photos, tmp_path / "runs"), tmp_path) == 0
    source = tmp_path / "runs/toy/models/toy_stage2.safetensors"
    values = {**options(photos, tmp_path / "more"), "run_stages": ["denoiser"]}
    values["path"]["start"] = {"autoencoder": str(source)}

    assert train(values, tmp_path) == 0

    before = load_network(source)[0].autoencoder.state_dict()
    network, card = load_network(tmp_path / "more/toy/models/toy_stage2.safetensors")
    assert all(torch.equal(tensor, before[name]) for name, tensor in network.autoencoder.state_dict().items())
    assert card.training["start"] == {"autoencoder": "toy_stage2"}


def test_the_linear_code_is_the_best_linear_reconstruction(photos):
    settings = AutoencoderSettings("kl", 8, (1, 2), 1, 6, 6, mid_attention=False, unshuffle=2, linear_code=True)
    network = Autoencoder(settings)
    noise = torch.rand(4, 3, 36, 36, generator=torch.Generator().manual_seed(1))
    images = 2 * torch.nn.functional.avg_pool2d(noise, 5, stride=1) - 1

    network.set_linear_code(images)
    with torch.no_grad():
        latents = network.encode(images)
        decoded = network.decode(latents)

    # No linear code of six numbers for 48 has a smaller error than the first six singular vectors.
    patches = torch.nn.functional.unfold(images, 4, stride=4).transpose(1, 2).reshape(-1, 48).double()
    centred = patches - images.mean(dim=(0, 2, 3)).repeat_interleave(16)
    residue = torch.linalg.svdvals(centred)[6:].square().sum() / centred.numel()
    assert latents.std(dim=(0, 2, 3)).tolist() == pytest.approx([1.0] * 6, rel=0.01)
    error = float((decoded - images).square().mean())
    assert error == pytest.approx(float(residue), rel=0.05)


def test_unused_codes_move_to_latents_of_the_batch():
    book = Codebook(4, 2, counts_use=True)
    book.embedding.weight.data = torch.tensor([[0.0, 0.0], [9.0, 9.0], [8.0, 8.0], [7.0, 7.0]])
    latents = torch.full((1, 2, 2, 2), 0.1)

    for _ in range(2):
        book.restart_unused(latents, patience=2)

    assert book.embedding.weight[0].tolist() == [0, 0]
    assert torch.allclose(book.embedding.weight[1:], torch.tensor(0.1))


@pytest.mark.parametrize(
    ("stage", "section", "reason"),
    [
        ("denoiser", {"kl_weight": 0.1}, "kl_weight is a key of the stage autoencoder"),
        ("denoiser", {"gan": {}}, "for the stage autoencoder"),
        ("autoencoder", {"condition_dropout": 0.1}, "key of the stage denoiser"),
        ("autoencoder", {"perceptual": {}}, "lpips_weight"),
        ("autoencoder", {"checkpoint_activations": True}, "not implemented"),
        ("autoencoder", {"gan_start": 3}, "gan_start needs the section gan"),
        ("autoencoder", {"gan": {}, "gan_start": 4}, "not before the end"),
        ("autoencoder", {"gan": {"r1": 1}}, "r1 and feature_matching"),
        ("denoiser", {"targets": {"l1_gt_usm": True}}, "targets is for DiffIR"),
        ("denoiser", {"pixel_weight": 2}, "pixel_weight is for the stage autoencoder"),
    ],
)
def test_keys_without_effect_are_refused(photos, tmp_path, stage, section, reason):
    path = tmp_path / "toy.yml"
    path.write_text(yaml.safe_dump(options(photos, tmp_path, **{stage: section})), "utf-8")

    with pytest.raises(ConfigError, match=reason):
        load_config(path)


VQ = {"network_g.settings": {"autoencoder": {"regulariser": "vq"}}, "stages.autoencoder": {"restart_codes": 5}}
LABELS = {
    "network_g.settings": {"condition": ["labels"], "labels": 3, "scale": 1, "clean_input": False},
    "datasets.train": {"degradation": [{"type": "quantize"}]},
    "run_stages": ["denoiser"],
}


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"path": {"pretrain_network_g": "photo"}}, "use path.start"),
        ({"path": {"start": {"denoiser": "x.safetensors"}}}, "hold its autoencoder"),
        ({"val": {"strip_pixels": 64}}, "strip_pixels is for DiffIR"),
        ({"stages.autoencoder": {"restart_codes": 5}}, "with a codebook"),
        (VQ, "counts_use"),
        (LABELS, "label maps"),
    ],
)
def test_starts_and_keys_that_would_be_ignored_are_refused(photos, tmp_path, capsys, changes, reason):
    values = options(photos, tmp_path / "runs")
    for place, change in changes.items():
        section, _, inner = place.partition(".")
        if isinstance(change, list):
            values[section] = change
        elif inner:
            values[section][inner] = {**values[section].get(inner, {}), **change}
        else:
            values[section] |= change

    assert train(values, tmp_path) == 2
    message = capsys.readouterr().err
    assert reason in message.splitlines()[-1]
    assert "Traceback" not in message


def test_a_denoiser_without_an_autoencoder_is_refused(photos, tmp_path, capsys):
    values = {**options(photos, tmp_path / "runs"), "run_stages": ["denoiser"]}

    assert train(values, tmp_path) == 2
    assert "path.start: {autoencoder: FILE}" in capsys.readouterr().err


def test_weights_for_an_unknown_part_are_refused(photos, tmp_path, capsys):
    values = options(photos, tmp_path / "runs")
    values["path"]["start"] = {"autoencodr": "x.safetensors"}

    assert train(values, tmp_path) == 2
    assert "did you mean 'autoencoder'" in capsys.readouterr().err
