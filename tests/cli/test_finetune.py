"""``diffir finetune`` turns a folder of photos into weights and a report."""

import cv2
import numpy as np
import pytest
import torch

from diffir.api import load_network
from diffir.cli.main import main
from diffir.image_io import read_image
from diffir.systems.diffir import DiffIR
from diffir.systems.diffir.tasks import get_task
from tests.diffir_objects import card_of, save_weights

TINY = get_task("denoise_tiny").arch


@pytest.fixture
def photos(tmp_path):
    folder = tmp_path / "photos"
    folder.mkdir()
    for seed in range(6):
        coarse = np.random.default_rng(seed).integers(0, 256, (6, 6, 3)).astype(np.uint8)
        cv2.imwrite(str(folder / f"{seed}.png"), cv2.resize(coarse, (160, 140), interpolation=cv2.INTER_CUBIC))
    return folder


@pytest.fixture
def weights(tmp_path):
    torch.manual_seed(0)
    card = card_of("mine", TINY, task="denoise_tiny", training={"stage2": {"gt_sizes": [16]}, "train_set": {}})
    path = tmp_path / "mine.safetensors"
    save_weights(path, DiffIR(TINY).state_dict(), card, dtype=torch.float32)
    return path


@pytest.fixture
def recipe(tmp_path):
    path = tmp_path / "dark.yml"
    path.write_text("steps: [{type: gaussian_noise, sigma: [40, 50]}]\n", "utf-8")
    return path


@pytest.mark.slow
def test_a_folder_and_a_recipe_become_weights_that_restore_better(photos, weights, recipe, tmp_path, capsys):
    out = tmp_path / "run"
    command = ["finetune", str(photos), "--recipe", str(recipe), "--model_path", str(weights), "-o", str(out)]

    assert main([*command, "--steps", "100"]) == 0

    text = capsys.readouterr().out
    assert "photos: 4 for training, 2 for validation" in text
    assert "gain +" in text
    assert load_network(out / "models/run_stage2.safetensors")[1].part == "diffusion"
    assert "| before |" in (out / "report.md").read_text("utf-8")
    assert read_image(out / "preview.png").pixels.shape[2] == 3
    assert main([*command, "--steps", "100"]) == 1  # the folder holds a run
    assert "continue with --auto_resume" in capsys.readouterr().err
    assert main([*command, "--steps", "100", "--auto_resume", "--seed", "5"]) == 1
    assert "was started with --seed 0, not 5" in capsys.readouterr().err
    assert main([*command, "--steps", "100", "--auto_resume"]) == 0  # nothing is left to do


@pytest.mark.slow
def test_a_teacher_replaces_the_clean_photos(photos, weights, recipe, tmp_path, capsys):
    out = tmp_path / "run"
    command = ["finetune", str(photos), "--recipe", str(recipe), "--model_path", str(weights), "-o", str(out)]

    assert main([*command, "--steps", "100", "--teacher", str(weights)]) == 0

    assert f"Teacher: `{weights}`" in (out / "report.md").read_text("utf-8")
    assert load_network(out / "models/run_stage2.safetensors")[1].notes.startswith("Learnt from the outputs of mine")
    assert main([*command, "--steps", "100", "--auto_resume"]) == 1
    assert "was started with --teacher" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        (["--recipe", "nothing"], "nothing"),
        (["--recipe", "bicubic_x2"], "the recipe makes x2"),
        (["--recipe", "rain", "--steps", "3"], "--steps must be 100 or more"),
        (["--recipe", "rain", "-n", "denoise"], "give one"),
        (["--recipe", "rain", "--teacher", "nobody.pth"], "nobody.pth"),
    ],
)
def test_a_mistake_is_one_line_and_leaves_no_folder(photos, weights, tmp_path, capsys, flags, message):
    command = ["finetune", str(photos), "--model_path", str(weights), "-o", str(tmp_path / "run")]

    assert main([*command, *flags]) == 2

    error = capsys.readouterr().err.strip()
    assert message in error.splitlines()[-1]
    assert not (tmp_path / "run").exists()
