"""The prior ablation trains every variant once and scores it on every photo."""

import importlib.util
import json
from pathlib import Path
from types import ModuleType

import pytest

from diffir.systems.diffir import DiffIR
from diffir.systems.diffir.tasks import get_task
from tests.diffir_objects import card_of, save_weights

ROOT = Path(__file__).resolve().parents[2]

TINY = get_task("denoise_tiny").arch
SHORT = [
    str(ROOT / "options/debug/tiny.yml"),
    *("train.total_iter=2", "train.warmup_iter=1", "stage2.total_iter=2", "stage2.encoder_iter=1"),
    f"datasets.train.dataroot_gt={ROOT}/datasets/samples/train",
    f"datasets.val.dataroot_gt={ROOT}/datasets/samples/clean",
    "datasets.val.gt_size=32",
    "path.pretrain_network_g=START",
]


def tool(name: str) -> ModuleType:
    spec = importlib.util.spec_from_file_location(name, ROOT / "tools" / f"{name}.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


ablation = tool("prior_ablation")


@pytest.mark.slow
def test_variants_are_trained_scored_and_found_done_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ablation, "VARIANTS", {name: ablation.VARIANTS[name] for name in ("separate", "T = 1")})
    save_weights(tmp_path / "start.safetensors", DiffIR(TINY, 2).state_dict(), card_of("start", TINY))
    command = [word.replace("START", str(tmp_path / "start.safetensors")) for word in SHORT]
    command += [f"path.experiments_root={tmp_path}", "-o", str(tmp_path / "r.json"), "--seeds", "5"]

    results = []
    for _ in range(2):
        ablation.main(command)
        results.append(json.loads((tmp_path / "r.json").read_text("utf-8"))["results"])

    assert [run["variant"] for run in results[0]] == [ablation.ORACLE, "separate", "T = 1", *ablation.WITHOUT_STAGE_ONE]
    assert all(len(run["psnr"]) == 3 for run in results[0])
    assert results[0] == results[1]
