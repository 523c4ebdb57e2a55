"""Real-ESRGAN's compact networks: our code gives what theirs gives."""

from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import save_file
from torch import Tensor

from diffir.api import load
from diffir.cli.main import main
from diffir.systems.realesrgan.network import settings_of
from diffir.systems.realesrgan.settings import CompactSettings
from tests.foreign_networks import compact, needs_spandrel

PHOTO = np.random.default_rng(0).random((20, 30, 3), np.float32)
SHIPPED = "realesrgan_general_x4"


def result(path: Path, **options: float) -> np.ndarray:
    return load(path, device="cpu", precision="fp32", **options).restore(PHOTO)


def saved(path: Path, state: dict[str, Tensor]) -> Path:
    save_file(state, path)
    return path


def test_a_checkpoint_is_recognised_by_its_shapes_alone() -> None:
    assert settings_of(compact(scale=4)) == CompactSettings(8, 2, 4)
    assert settings_of(compact(channels=1)) is None
    assert settings_of(compact() | {"body.1.bias": torch.zeros(8)}) is None
    assert settings_of({"body.0.weight": torch.zeros(8, 3, 3, 3), "body.99999.weight": torch.zeros(())}) is None


@needs_spandrel
@pytest.mark.parametrize("scale", [1, 2, 4])
def test_results_are_those_of_spandrel(tmp_path: Path, scale: int) -> None:
    from diffir.systems.spandrel.network import recognised

    state = compact(scale)
    theirs = recognised(state, "tiny")
    lq = torch.from_numpy(PHOTO.transpose(2, 0, 1))[None]

    ours = result(saved(tmp_path / "tiny.safetensors", state))

    assert ours == pytest.approx(theirs(lq)[0].permute(1, 2, 0).numpy(), abs=1e-6)


def test_the_shipped_network_is_named_as_that_of_its_authors(capsys) -> None:
    assert main(["models", SHIPPED]) == 0

    text = " ".join(capsys.readouterr().out.split())
    assert "BSD-3-Clause" in text and "Real-ESRGAN" in text and "Xintao Wang" in text
    assert "DiffIR's" not in text


def test_training_such_a_network_is_refused_in_one_line(capsys) -> None:
    assert main(["train", "-opt", "debug/tiny", "system=realesrgan"]) == 2

    assert "networks of the system realesrgan restore photos and are not trained" in capsys.readouterr().err


@needs_spandrel
def test_the_shipped_network_is_that_of_its_authors(shared: Path) -> None:
    from diffir.systems.spandrel.network import recognised
    from diffir.weights.checkpoint_file import read_checkpoint

    lq = torch.from_numpy(PHOTO.transpose(2, 0, 1))[None]
    for strength, name in ((1, "realesr_general_x4v3"), (0, "realesr_general_wdn_x4v3")):
        theirs = recognised(read_checkpoint(shared / f"data/weights/{name}.safetensors"), name)(lq)

        assert result(SHIPPED, denoise_strength=strength) == pytest.approx(theirs[0].permute(1, 2, 0).numpy(), abs=1e-6)
