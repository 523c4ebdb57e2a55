"""BasicSR's own training and test run DiffIR through the plug-in."""

import subprocess
import sys
from pathlib import Path

import pytest
import torch
import yaml

from diffir._basicsr import load_basicsr
from diffir.api import load
from diffir.basicsr_plugin import PaddedDiffIR, build_architecture, main, register
from diffir.errors import ConfigError, MissingDependency, UsageError
from diffir.systems.diffir.tasks import get_task

SAMPLES = Path(__file__).resolve().parents[1] / "datasets/samples"
TINY = {"type": "DiffIR", "task": "denoise_tiny"}


@pytest.fixture
def basicsr() -> object:
    try:
        return load_basicsr()
    except MissingDependency as error:
        pytest.skip(str(error))


@pytest.mark.parametrize("stage", [1, 2])
def test_images_of_any_size_are_restored_in_their_size(stage: int) -> None:
    network = build_architecture("denoise_tiny", stage)
    lq = torch.rand(1, 3, 13, 18)

    restored, prior = network(lq, lq, with_prior=True)

    assert restored.shape == lq.shape
    assert prior.shape == (1, get_task("denoise_tiny").arch.prior_width)


def test_shipped_weights_give_what_diffir_gives() -> None:
    network = build_architecture(pretrained="derain").eval()
    lq, noise = torch.rand(1, 3, 32, 32), torch.zeros(1, network.settings.prior_width)
    own = load("derain", device="cpu", engine="torch", stats="global", precision="fp32")

    with torch.no_grad():
        prior = network.estimate_prior(lq, noise=noise)
        restored = network.restore(lq, prior)

    torch.testing.assert_close(own.restore_tensor(lq, prior=prior), restored, atol=1e-4, rtol=0)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({}, "either task .* or pretrained"),
        ({"task": "denoise_tiny", "pretrained": "photo"}, "either task .* or pretrained"),
        ({"task": "denoise_tiny", "stage": 3}, "stage must be 1 or 2, got 3"),
        ({"task": "denoise_tiny", "settings": {"dimm": 8}}, "did you mean 'dim'"),
    ],
)
def test_a_wrong_section_is_one_line(options: dict, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        build_architecture(**options)


def test_stage_one_without_the_clean_image_names_the_model() -> None:
    with pytest.raises(UsageError, match="set model_type to DiffIRModel"):
        build_architecture("denoise_tiny", 1)(torch.rand(1, 3, 16, 16))


def test_an_unknown_action_is_one_line() -> None:
    with pytest.raises(UsageError, match="takes train, test or the path of a script"):
        main(["trian"])


def test_registering_twice_is_registering_once(basicsr) -> None:
    register()
    register()

    network = basicsr.build_network({**TINY, "stage": 1})

    assert isinstance(network, PaddedDiffIR) and network.stage == 1
    assert "DiffIRModel" in basicsr.utils.registry.MODEL_REGISTRY


def write_options(folder: Path, name: str, **sections: object) -> Path:
    """Write an option file of BasicSR; its images are pairs of noisy and clean sample photos."""
    pairs = {
        "name": "pairs",
        "type": "PairedImageDataset",
        "dataroot_gt": str(SAMPLES / "clean"),
        "dataroot_lq": str(SAMPLES / "noisy"),
        "io_backend": {"type": "disk"},
        "scale": 1,
    }
    loading = {"gt_size": 32, "use_hflip": True, "use_rot": True, "num_worker_per_gpu": 0, "batch_size_per_gpu": 2}
    options = {
        "name": name,
        "model_type": "DiffIRModel",
        "scale": 1,
        "num_gpu": 0,
        "manual_seed": 0,
        "datasets": {"train": {**pairs, **loading, "dataset_enlarge_ratio": 20}},
        "path": {},
        "train": {
            "optim_g": {"type": "Adam", "lr": 1e-3},
            "scheduler": {"type": "MultiStepLR", "milestones": [100]},
            "total_iter": 10,
            "warmup_iter": -1,
            "pixel_opt": {"type": "L1Loss"},
            "ema_decay": 0.9,
        },
        "logger": {"print_freq": 5, "save_checkpoint_freq": 10, "use_tb_logger": False},
        **sections,
    }
    path = folder / f"{name}.yml"
    path.write_text(yaml.safe_dump(options), "utf-8")
    return path


def run_basicsr(folder: Path, *words: str) -> str:
    """Run the plug-in in a process of its own, as users do; returns what BasicSR prints."""
    command = [sys.executable, "-m", "diffir.basicsr_plugin", *words]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return done.stdout + done.stderr


WEIGHTS = "experiments/{}/models/net_g_latest.pth"


def write_both_stages_and_a_test(folder: Path) -> list[str]:
    """Write the options of stage 1, of stage 2 with stage 1 as its teacher, and of a test of stage 2."""
    teacher = {"pretrain_network_teacher": WEIGHTS.format("one"), "param_key_teacher": "params_ema"}
    noisy = {"name": "noisy", "type": "SingleImageDataset", "dataroot_lq": str(SAMPLES / "noisy")}
    one = write_options(folder, "one", network_g={**TINY, "stage": 1})
    two = write_options(folder, "two", network_g=TINY, network_teacher={**TINY, "stage": 1}, path=teacher)
    test = write_options(
        folder,
        "test",
        network_g=TINY,
        datasets={"test": {**noisy, "io_backend": {"type": "disk"}}},
        path={"pretrain_network_g": WEIGHTS.format("two"), "param_key_g": "params_ema"},
        val={"save_img": True, "suffix": None},
    )
    return [str(path) for path in (one, two, test)]


@pytest.mark.slow
def test_basicsr_trains_both_stages_and_tests_and_diffir_loads_the_result(basicsr, tmp_path: Path) -> None:
    one, two, test = write_both_stages_and_a_test(tmp_path)

    first = run_basicsr(tmp_path, "train", "-opt", one)
    second = run_basicsr(tmp_path, "train", "-opt", two)
    run_basicsr(tmp_path, "test", "-opt", test)

    assert "l_pix" in first and "l_abs" not in first
    assert "l_pix" in second and "l_abs" in second and "l_kd" in second
    assert len(list(tmp_path.glob("results/test/visualization/noisy/*.png"))) == 3
    published = (tmp_path / WEIGHTS.format("two")).with_suffix(".safetensors")
    assert load(published, device="cpu").restore_tensor(torch.rand(1, 3, 16, 16)).shape == (1, 3, 16, 16)
