"""The variants of the prior ablation are what their names say."""

import importlib.util
import json
from pathlib import Path
from types import ModuleType

import pytest
import torch

from diffir.archs import DiffIR
from diffir.config import TrainConfig
from diffir.tasks import get_task

ROOT = Path(__file__).resolve().parents[2]
TINY = get_task("denoise_tiny").arch

SHORT = [
    str(ROOT / "options/debug/tiny.yml"),
    *("train.total_iter=2", "train.warmup_iter=1", "stage2.total_iter=2", "stage2.encoder_iter=1"),
    f"datasets.train.dataroot_gt={ROOT}/datasets/samples/train",
    f"datasets.val.dataroot_gt={ROOT}/datasets/samples/clean",
    "datasets.val.gt_size=32",
]


def tool(name: str) -> ModuleType:
    spec = importlib.util.spec_from_file_location(name, ROOT / "tools" / f"{name}.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


ablation = tool("prior_ablation")


def test_a_regressed_prior_is_cpens_view_whatever_the_noise() -> None:
    stage = ablation.RegressedPrior(DiffIR(TINY, 1), TrainConfig(total_iter=1))
    lq = torch.rand(2, 3, 32, 32)

    prior = stage.prior(stage.network, lq, lq, torch.randn(2, TINY.prior_width))

    assert torch.equal(prior, stage.network.condition(lq))


def test_without_a_prior_all_photos_get_the_same_vector() -> None:
    stage = ablation.NoPrior(TINY, TrainConfig(total_iter=1))
    one, other = torch.rand(2, 1, 3, 32, 32)

    assert torch.equal(stage.prior(stage.network, one, one, one), stage.prior(stage.network, other, other, one))


@pytest.mark.slow
def test_variants_are_trained_scored_and_found_done_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ablation, "VARIANTS", {name: ablation.VARIANTS[name] for name in ("separate", "T = 1")})
    command = [*SHORT, f"path.experiments_root={tmp_path}", "-o", str(tmp_path / "r.json"), "--seeds", "5"]

    results = []
    for _ in range(2):
        ablation.main(command)
        results.append(json.loads((tmp_path / "r.json").read_text("utf-8"))["results"])

    assert [run["variant"] for run in results[0]] == [ablation.ORACLE, "separate", "T = 1", ablation.NO_PRIOR]
    assert all(len(run["psnr"]) == 3 for run in results[0])
    assert results[0] == results[1]
