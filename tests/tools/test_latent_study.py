"""The studies of latent diffusion measure every row once, and print tables of what they have measured."""

import json
from collections.abc import Callable
from pathlib import Path
from types import ModuleType

import pytest

ROOT = Path(__file__).resolve().parents[2]
PHOTOS = str(ROOT / "datasets/samples/clean")
SHORT = [
    str(ROOT / "options/ldm/tradeoffs.yml"),
    *(
        "stages.autoencoder.total_iter=2",
        "stages.autoencoder.warmup_iter=1",
        "network_g.settings.autoencoder.channels=8",
    ),
    *("stages.denoiser.total_iter=2", "stages.denoiser.warmup_iter=1", "network_g.settings.denoiser.channels=24"),
    *(f"datasets.train.dataroot_gt={PHOTOS}", f"datasets.val.dataroot_gt={PHOTOS}", "datasets.val.gt_size=64"),
]
LoadTool = Callable[[str], ModuleType]


def rows_of(path: Path) -> list[dict]:
    return json.loads(path.read_text("utf-8"))["rows"]


@pytest.mark.slow
def test_a_row_of_a_study_is_measured_once(tmp_path: Path, load_tool: LoadTool, capsys: pytest.CaptureFixture) -> None:
    study, file = load_tool("latent_study"), tmp_path / "r.json"
    steps = ["steps", PHOTOS, "-o", str(file), "--crop", "64", "--dpm", "2"]

    for ddim in ("1", "1,2"):
        study.main([*steps, "--ddim", ddim])
    study.main(["diversity", PHOTOS, "-o", str(file), "--crop", "64", "--samples", "2"])
    study.main(["systems", PHOTOS, "-o", str(file), "--crop", "64", "-n", "sr_x4,ldm_sr_x4"])

    rows = rows_of(file)
    assert [(row["sampler"], row["steps"]) for row in rows[:3]] == [("ddim", 1), ("dpm", 2), ("ddim", 2)]
    assert rows[0]["psnr"] > rows[2]["psnr"]  # one step is the regression
    assert rows[3]["mean_psnr"] > rows[3]["one_psnr"] and rows[3]["std_levels"] > 0
    assert [row["system"] for row in rows[4:]] == ["diffir", "latent"]
    assert rows[5]["multiply_adds_per_megapixel"] > rows[4]["multiply_adds_per_megapixel"]
    capsys.readouterr()
    study.main(["tables", "-", "-o", str(file)])
    assert f"| `ddim` | 1 | {rows[0]['psnr']:.2f} |" in capsys.readouterr().out


@pytest.mark.slow
def test_variants_share_an_autoencoder_and_are_trained_once(
    tmp_path: Path, load_tool: LoadTool, capsys: pytest.CaptureFixture
) -> None:
    study, file = load_tool("latent_tradeoffs"), tmp_path / "r.json"
    call = [*SHORT, f"path.experiments_root={tmp_path}", "-o", str(file), "--only", "f4,f4 both"]

    study.main(call)
    first = rows_of(file)
    study.main(call)

    assert rows_of(file) == first
    assert [row["variant"] for row in first] == ["f4", "f4 both"]
    assert first[0]["reconstruction"] == first[1]["reconstruction"]
    assert first[0]["parameters"] < first[1]["parameters"]
    capsys.readouterr()
    study.main(["tables", "-o", str(file)])
    assert capsys.readouterr().out.count("| 1/4, 4 channels |") == 2
