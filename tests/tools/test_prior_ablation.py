"""The variants of the prior ablation are what their names say, and the table is arithmetic."""

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


def tool(name: str) -> ModuleType:
    spec = importlib.util.spec_from_file_location(name, ROOT / "tools" / f"{name}.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


ablation, table = tool("prior_ablation"), tool("prior_ablation_table")


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
def test_every_variant_is_trained_scored_and_found_done_again(tmp_path: Path) -> None:
    options = ROOT / "options/debug/tiny.yml"
    short = ["train.total_iter=2", "stage2.total_iter=2", "stage2.encoder_iter=1", "train.warmup_iter=1"]
    command = [
        str(options),
        *short,
        f"path.experiments_root={tmp_path}",
        "-o",
        str(tmp_path / "r.json"),
        "--seeds",
        "5",
    ]

    results = []
    for _ in range(2):
        ablation.main(
            [
                *command,
                "datasets.val.gt_size=32",
                f"datasets.train.dataroot_gt={ROOT}/datasets/samples/train",
                f"datasets.val.dataroot_gt={ROOT}/datasets/samples/clean",
            ]
        )
        results.append(json.loads((tmp_path / "r.json").read_text("utf-8"))["results"])

    assert [run["variant"] for run in results[0]] == [ablation.ORACLE, *ablation.VARIANTS, ablation.NO_PRIOR]
    assert all(len(run["psnr"]) == 3 for run in results[0])
    assert results[0] == results[1]


def test_the_table_pairs_seeds_and_photos() -> None:
    runs = [("T = 4", 1, 20.0, 30.0), ("T = 4", 2, 22.0, 30.0), ("other", 1, 21.0, 31.0)]
    results = [{"variant": name, "seed": seed, "psnr": {"a": a, "b": b}} for name, seed, a, b in runs]

    rows = table.table(results).splitlines()

    assert rows[2] == "| T = 4 | 25.00 | 26.00 | 25.50 |  |"
    assert rows[3] == "| other | 26.00 | - | 26.00 | +1.00 (+1.00 to +1.00) |"
