"""Latents that are kept on disk stand for the photos that they were made of, and for no others."""

import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from diffir.config import TrainConfig
from diffir.data.batch_plan import PatchRequest
from diffir.data.encoded_patches import EncodedPatches
from diffir.errors import ConfigError
from diffir.image_io import write_image
from diffir.system import EncodedPair, Pair, Phase
from diffir.systems.latent.network import LatentDiffusion
from diffir.systems.latent.rows import get_row
from diffir.systems.latent.stages import DenoiserStage
from tests.systems.latent.test_training import options, photos, train  # noqa: F401

PHASE = Phase("diffusion", 0, 1, [])


def stage_of(row: str) -> DenoiserStage:
    """A stage with a network that is as narrow as the toy's, and otherwise that of a row."""
    torch.manual_seed(0)
    tiny, settings = get_row("ldm_tiny").settings, get_row(row).settings
    network = LatentDiffusion(replace(settings, autoencoder=tiny.autoencoder, denoiser=tiny.denoiser))
    torch.nn.init.normal_(network.denoiser.out[2].weight, std=0.02)
    return DenoiserStage(network, TrainConfig())


def folders(runs: Path) -> set[str]:
    return {path.name for path in (runs / "encoded_patches").iterdir()}


@pytest.mark.parametrize(("row", "sides", "channels"), [("ldm_tiny", 8, 3), ("ldm_inpaint_small", 32, 4)])
def test_an_encoded_batch_has_the_loss_of_the_batch(row: str, sides: int, channels: int) -> None:
    stage = stage_of(row)
    batch = Pair(torch.rand(2, channels, sides, sides).round(), torch.rand(2, 3, 32, 32))
    noise = stage.draw_noise(batch.lq, torch.Generator().manual_seed(0))

    losses = [next(iter(stage.losses(given, PHASE, noise))).total for given in (batch, stage.encode(batch))]

    assert losses[0] > 0 and losses[0] == losses[1]


def test_samples_are_kept_in_half_precision_and_used_in_turn(tmp_path: Path) -> None:
    kept = EncodedPatches(tmp_path, 3, seed=(1,))
    samples = [EncodedPair(*(torch.full((1, 2, 2), number / 3) for _ in range(3))) for number in range(3)]
    for number in (2, 0):
        kept.keep(number, samples[number])
    assert kept.missing() == [1]
    kept.keep(1, samples[1])

    read = [kept[PatchRequest(index, 32)] for index in range(6)]

    assert sorted(round(float(sample.gt[0, 0, 0]) * 3) for sample in read) == [0, 0, 1, 1, 2, 2]
    assert {sample.lq.dtype for sample in read} == {torch.float32}
    (tmp_path / "0000000.safetensors").write_bytes(b"half a file")
    with pytest.raises(ConfigError, match=r"0000000\.safetensors cannot be read .* delete it, and it is made again"):
        for index in range(3):
            kept[PatchRequest(index, 32)]


def times_of(folder: Path) -> dict[str, int]:
    """When each file of a folder was written."""
    return {path.name: path.stat().st_mtime_ns for path in folder.iterdir()}


@pytest.mark.slow
def test_a_second_run_finds_the_latents_and_other_photos_weights_or_degradations_need_others(
    photos: Path,  # noqa: F811
    tmp_path: Path,
) -> None:
    runs, own = tmp_path / "runs", Path(shutil.copytree(photos, tmp_path / "photos"))
    values = options(own, runs, denoiser={"encoded_patches": 5})
    assert train(values, tmp_path) == 0
    (first,) = folders(runs)
    made = times_of(runs / "encoded_patches" / first)
    assert len(made) == 5
    values |= {"run_stages": ["denoiser"], "name": "second"}
    values["path"]["start"] = {"autoencoder": str(runs / "toy/models/toy_stage1.safetensors")}

    def found(name: str) -> set[str]:
        before = folders(runs)
        assert train({**values, "name": name}, tmp_path) == 0
        return folders(runs) - before

    assert found("equal") == set()
    assert made == times_of(runs / "encoded_patches" / first)
    values["datasets"]["train"]["degradation"].append({"type": "quantize"})
    assert len(found("recipe")) == 1
    write_image(own / "0.png", np.zeros((64, 64, 3), np.uint8))
    assert len(found("photo")) == 1
    values["stages"]["autoencoder"]["total_iter"] = 3
    of_autoencoder = {"name": "again", "run_stages": ["autoencoder"], "path": {"experiments_root": str(runs)}}
    assert train({**values, **of_autoencoder}, tmp_path) == 0
    values["path"]["start"] = {"autoencoder": str(runs / "again/models/again_stage1.safetensors")}
    assert len(found("weights")) == 1


def test_patches_of_several_sizes_cannot_be_encoded_beforehand(photos: Path, tmp_path: Path) -> None:  # noqa: F811
    sizes = {"iters": [2, 2], "gt_sizes": [32, 64], "mini_batch_sizes": [2, 1], "encoded_patches": 4}

    assert train(options(photos, tmp_path, denoiser=sizes), tmp_path) == 2
