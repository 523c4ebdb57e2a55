"""A system that the package does not know does everything that a system can, through the commands users type."""

import argparse
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
import pytest
import torch

from diffir.api import load, load_network
from diffir.cli.main import main
from diffir.cli.system_flags import add_system_flags, foreign_options, given_options
from diffir.errors import WeightsError
from diffir.image_io import read_image, write_image
from diffir.system import System
from diffir.systems import SYSTEMS
from diffir.weights.card import WeightsCard
from diffir.weights.load import load_network as load_weights
from diffir.weights.published import save_published
from tests.toy_system import ToySystem

OPTIONS = """
name: toy
system: toy
network_g: {task: smooth, settings: {side: 5}}
datasets:
  train:
    dataroot_gt: PHOTOS
    gt_size: 16
    batch_size_per_gpu: 4
    degradation: [{type: gaussian_noise, sigma: [20, 20]}]
  val: {dataroot_gt: PHOTOS, gt_size: 32}
stages:
  kernel: {total_iter: 30, optim_g: {lr: 0.05}, ema_decay: 0}
val: {val_freq: 10}
logger: {print_freq: 10, save_checkpoint_freq: 10, use_tb_logger: false}
path: {experiments_root: RUNS}
"""


@dataclass(frozen=True)
class ScheduledOptions:
    steps: int | None = None
    fast: bool = True
    order: Literal[1, 2] = 1


@pytest.fixture(autouse=True)
def known_system(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(SYSTEMS, "toy", ToySystem())


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    ramp = np.linspace(0, 255, 48).astype(np.uint8)
    for number in range(3):
        image = np.stack([np.roll(ramp, 7 * number)] * 48)[..., None].repeat(3, axis=2)
        write_image(tmp_path / "photos" / f"{number}.png", image)
    return tmp_path / "photos"


@pytest.fixture
def weights(tmp_path: Path, photos: Path) -> Path:
    """Trained by ``diffir train``, with a stop after ten steps."""
    options = tmp_path / "toy.yml"
    options.write_text(OPTIONS.replace("PHOTOS", str(photos)).replace("RUNS", str(tmp_path / "runs")), "utf-8")
    assert main(["train", "-opt", str(options)]) == 0
    return tmp_path / "runs/toy/models/toy_stage1.safetensors"


def test_it_trains_and_publishes_weights_that_name_it(weights: Path) -> None:
    network, card = load_network(weights, restores=True)
    records = [json.loads(line) for line in (weights.parents[1] / "train_log.jsonl").read_text("utf-8").splitlines()]
    scores = [record["psnr"] for record in records if record["event"] == "validation"]

    assert (card.system, card.part, card.settings["side"]) == ("toy", "kernel", 5)
    assert network.weight.shape == (3, 3, 5, 5)
    assert scores[-1] > scores[0] + 3


def test_a_stopped_training_is_resumed_to_the_same_weights(weights: Path, tmp_path: Path) -> None:
    whole = weights.read_bytes()
    weights.unlink()
    (last,) = (weights.parents[1] / "training_states").glob("*_00000030.state")
    last.unlink()

    assert main(["train", "-opt", str(tmp_path / "toy.yml"), "--auto_resume"]) == 0

    first, again = (load_network(path)[0].state_dict() for path in (_written(tmp_path, whole), weights))
    assert all((first[name] == again[name]).all() for name in first)


def _written(folder: Path, content: bytes) -> Path:
    path = folder / "whole.safetensors"
    path.write_bytes(content)
    return path


def test_it_restores_in_tiles_what_it_restores_whole(weights: Path, photos: Path, tmp_path: Path) -> None:
    how = ["restore", str(photos / "1.png"), "--model_path", str(weights)]

    assert main([*how, "-o", str(tmp_path / "whole.png"), "-t", "-1"]) == 0
    assert main([*how, "-o", str(tmp_path / "tiles.png"), "-t", "32", "--tile_overlap", "8"]) == 0

    whole, tiles = (read_image(tmp_path / f"{name}.png").pixels.astype(int) for name in ("whole", "tiles"))
    assert np.abs(whole - tiles)[8:-8, 8:-8].max() <= 8  # a tile is padded where the photo goes on
    assert np.abs(whole - tiles).mean() < 1


def test_its_own_option_is_a_flag_and_an_argument(weights: Path, photos: Path, tmp_path: Path) -> None:
    dark = tmp_path / "dark.png"

    assert main(["restore", str(photos / "1.png"), "-o", str(dark), "--model_path", str(weights), "--gain", "0"]) == 0

    assert read_image(dark).pixels.max() == 0
    assert load(weights, gain=0.5).in_use()["gain"] == 0.5


def test_it_is_measured_and_shown_in_a_report(weights: Path, photos: Path, tmp_path: Path) -> None:
    document, page = tmp_path / "scores.json", tmp_path / "page.html"
    found = ["-n", f"input,{weights}", "-d", str(photos), "--sigma", "20", "--metrics", "psnr", "--no_cache"]

    assert main(["eval", *found, "--json", str(document), "--html", str(page)]) == 0

    result = json.loads(document.read_text("utf-8"))["results"][1]
    assert (result["method"], result["network"]["gain"], result["multiply_adds"]) == ("toy", 1.0, 225 * 256**2)
    assert "one convolution" in page.read_text("utf-8")


class Scheduled(ToySystem):
    """A toy with a noise schedule in a buffer, part names that are no stage names, and richer options."""

    name, restoring_part, restore_options = "scheduled", "sampler", ScheduledOptions

    def build(self, settings, part):
        network = super().build(settings, part)
        network.register_buffer("alphas_cumprod", torch.tensor([0.9999, 0.5]))
        network.register_buffer("count", torch.tensor(70_001))
        return network


def test_buffers_keep_their_precision_when_weights_are_published_in_half(tmp_path: Path) -> None:
    system, settings = Scheduled(), {"side": 3}
    state = system.build(settings, "sampler").state_dict()
    card = WeightsCard("scheduled", settings, "sampler", "scheduled")

    save_published(tmp_path / "s.safetensors", state, card, system)
    network, _ = load_weights(tmp_path / "s.safetensors", {"scheduled": system}, restores=True)

    assert network.weight.dtype == torch.float32 and network.count.dtype == torch.int64
    assert torch.equal(network.alphas_cumprod, state["alphas_cumprod"]) and network.count == 70_001


def test_weights_of_another_part_are_refused_by_its_name(tmp_path: Path) -> None:
    system, settings = Scheduled(), {"side": 3}
    card = WeightsCard("scheduled", settings, "encoder", "scheduled")
    save_published(tmp_path / "e.safetensors", system.build(settings, "encoder").state_dict(), card, system)

    with pytest.raises(WeightsError, match="the part encoder of scheduled, and the part sampler is needed"):
        load_weights(tmp_path / "e.safetensors", {"scheduled": system}, restores=True)


def test_numbers_truth_values_and_choices_of_options_become_flags(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(SYSTEMS, "scheduled", Scheduled())
    parser = argparse.ArgumentParser()
    add_system_flags(parser)

    args = parser.parse_args(["--steps", "5", "--no-fast", "--order", "2"])

    assert given_options(args, Scheduled()) == {"steps": 5, "fast": False, "order": 2}
    assert foreign_options(args, [ToySystem()]) == ["fast", "order", "steps"]


def test_an_incomplete_system_cannot_be_made() -> None:
    class Half(System):
        name = "half"

    with pytest.raises(TypeError, match="abstract"):
        Half()


def test_what_it_does_not_offer_is_one_clear_line(weights: Path, photos: Path, tmp_path: Path, capsys) -> None:
    out = ["-o", str(tmp_path / "run"), "--steps", "100"]

    assert main(["finetune", str(photos), "--recipe", "photo", "--model_path", str(weights), *out]) == 2

    assert "networks of the system toy cannot be fine-tuned" in capsys.readouterr().err
