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
    save_weights(tmp_path / "start.safetensors", DiffIR(TINY, 2).state_dict(), card_of("start", TINY))
    command = [word.replace("START", str(tmp_path / "start.safetensors")) for word in SHORT]
    command += [f"path.experiments_root={tmp_path}", "-o", str(tmp_path / "r.json"), "--seeds", "5"]
    command += ["--variants", "separate,T = 1,no prior"]

    results = []
    for _ in range(2):
        ablation.main(command)
        results.append(json.loads((tmp_path / "r.json").read_text("utf-8"))["results"])

    assert [run["variant"] for run in results[0]] == [ablation.ORACLE, "separate", "T = 1", "no prior"]
    assert all(len(run["psnr"]) == 3 for run in results[0])
    assert results[0] == results[1]


@pytest.mark.slow
def test_variants_of_a_prior_of_the_whole_photo(tmp_path: Path) -> None:
    """Steps that see thumbnails alone are no steps of the DIRformer, so variants without stage 1 do without them."""
    save_weights(tmp_path / "start.safetensors", DiffIR(TINY, 2).state_dict(), card_of("start", TINY))
    command = [word.replace("START", str(tmp_path / "start.safetensors")) for word in SHORT]
    command += ["network_g.settings.prior_view=whole", "network_g.settings.prior_thumbnail=16"]
    command += ["path.strict_load_g=false", "datasets.train.gt_size=16", "datasets.train.view_size=32"]
    command += [
        "stage2.total_iter=3",
        "stage2.iters=[1, 2]",
        "stage2.gt_sizes=[0, 16]",
        "stage2.mini_batch_sizes=[2, 2]",
    ]
    command += [f"path.experiments_root={tmp_path}", "-o", str(tmp_path / "r.json"), "--seeds", "5"]

    ablation.main([*command, "--variants", "T = 4,regressed,no prior,patch view"])

    results = json.loads((tmp_path / "r.json").read_text("utf-8"))["results"]
    assert [run["variant"] for run in results] == [ablation.ORACLE, "T = 4", "regressed", "no prior", "patch view"]
    steps = {path.parent.name: path.read_text("utf-8") for path in tmp_path.rglob("train_log.jsonl")}
    assert '"step": 4' in steps["tiny_seed5_noprior"]
    assert '"step": 5' not in steps["tiny_seed5_noprior"]


def test_a_variant_without_stage_one_is_trained_alone(tmp_path: Path) -> None:
    save_weights(tmp_path / "start.safetensors", DiffIR(TINY, 2).state_dict(), card_of("start", TINY))
    command = [word.replace("START", str(tmp_path / "start.safetensors")) for word in SHORT]
    command += [f"path.experiments_root={tmp_path}", "-o", str(tmp_path / "r.json"), "--seeds", "5"]

    ablation.main([*command, "--variants", "no prior"])

    assert [run["variant"] for run in json.loads((tmp_path / "r.json").read_text("utf-8"))["results"]] == ["no prior"]
    assert [path.name for path in tmp_path.glob("tiny_*")] == ["tiny_seed5_noprior"]
