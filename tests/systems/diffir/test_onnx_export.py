"""Networks as ONNX graphs: the script beside them gives what diffir gives, for every shipped network of DiffIR."""

import importlib.util
import json
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
import torch

from diffir.api import load
from diffir.cli.main import main
from diffir.hole_fill import fill_holes
from diffir.systems import SYSTEMS
from diffir.systems.diffir import DiffIR
from diffir.systems.diffir.onnx_export import SCRIPT, export
from diffir.thumbnail import thumbnail
from diffir.weights.catalogue import catalogue

needs_onnx = pytest.mark.skipif(
    not all(map(importlib.util.find_spec, ("onnx", "onnxscript", "onnxruntime"))), reason="onnx is not installed"
)
SHIPPED = [entry.name for entry in catalogue(SYSTEMS).values() if entry.card and entry.card.system == "diffir"]
PHOTO = np.random.default_rng(0).random((41, 70, 3), np.float32)
MASK = np.zeros((41, 70), np.float32)
MASK[5:9, 10:60] = 1


@needs_onnx
@pytest.mark.slow
@pytest.mark.parametrize("name", SHIPPED)
def test_the_script_gives_our_result_with_numpy_and_onnxruntime_alone(tmp_path: Path, name: str) -> None:
    ours = load(name, device="cpu", precision="fp32", engine="torch", stats="global", tile=-1)
    masks = [MASK] if ours.has_mask else []
    for number, array in enumerate([PHOTO, *masks]):
        np.save(tmp_path / f"{number}.npy", array)

    assert main(["export", name, "--onnx", str(tmp_path / "out")]) == 0
    files = [str(tmp_path / file) for file in ("0.npy", "result.npy", *(["1.npy"] if masks else []))]
    without_torch = "import runpy, sys; sys.modules['torch'] = sys.modules['diffir'] = None; del sys.argv[0]; "
    without_torch += "runpy.run_path(sys.argv[0], None, '__main__')"
    subprocess.run([sys.executable, "-c", without_torch, str(tmp_path / "out/restore.py"), *files], check=True)

    assert np.load(tmp_path / "result.npy") == pytest.approx(ours.restore(PHOTO, *masks), abs=1e-5)


@needs_onnx
@pytest.mark.slow
def test_the_graphs_hold_what_is_needed_to_run_them(tmp_path: Path, tiny_network: DiffIR) -> None:
    import onnx

    export(tiny_network, {"name": "tiny"}, tmp_path)

    graph = onnx.load(tmp_path / "prior.onnx")
    facts = json.loads({entry.key: entry.value for entry in graph.metadata_props}["diffir"])
    assert graph.opset_import[0].version == 18
    assert facts["settings"] == tiny_network.settings.to_dict()
    assert facts["schedule"]["betas"] == list(tiny_network.schedule.betas)
    assert len(facts["noise"]) == tiny_network.settings.prior_width


@pytest.fixture
def script(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    """The script as a module, without onnxruntime."""
    monkeypatch.setitem(sys.modules, "onnxruntime", ModuleType("onnxruntime"))
    specification = importlib.util.spec_from_file_location("restore_script", SCRIPT)
    module = importlib.util.module_from_spec(specification)
    specification.loader.exec_module(module)
    return module


def test_the_script_fills_holes_as_diffir_does(script: ModuleType) -> None:
    image, mask = (torch.from_numpy(array) for array in (PHOTO.transpose(2, 0, 1)[None], MASK[None, None]))

    filled = script.membrane(np.where(MASK[..., None] > 0, 0, PHOTO), MASK > 0)

    assert filled == pytest.approx(fill_holes(image, mask)[0].permute(1, 2, 0).numpy(), abs=1e-6)


@pytest.mark.parametrize("side", [8, 64])
def test_the_script_makes_the_thumbnail_that_diffir_makes(script: ModuleType, side: int) -> None:
    image = PHOTO.transpose(2, 0, 1)[None]

    shrunk = script.shrunk(script.shrunk(image, 2, side), 3, side)

    assert shrunk == pytest.approx(thumbnail(torch.from_numpy(image), side).numpy(), abs=1e-6)


def test_what_has_no_graphs_is_one_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["export", "ldm_sr_x4", "--onnx", str(tmp_path)]) == 2
    assert "networks of the system latent cannot be exported to ONNX" in capsys.readouterr().err
