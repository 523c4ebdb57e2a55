"""The examples of docs/extending.md, installed as packages: each extension works, and a broken one is one line."""

import importlib.metadata
import json
import re
import shutil
import subprocess
import sys
from importlib.machinery import PathFinder
from importlib.metadata import DistributionFinder
from pathlib import Path
from typing import NoReturn

import numpy as np
import pytest
import torch

from diffir.cli.main import main
from diffir.config import LoggerConfig, TrainConfig
from diffir.degradations.recipes import build_recipe
from diffir.errors import ConfigError, UsageError
from diffir.image_io import write_image
from diffir.metrics.table import METRICS, get_metrics
from diffir.systems import SYSTEMS
from diffir.training.criterion import Criterion
from diffir.training.log import RunLog

TESTS = Path(__file__).resolve().parent
PAGE = (TESTS.parent / "docs/extending.md").read_text("utf-8")
CODE = {name: text for text, name in re.findall(r"```python\n(# (\w+)\.py\n.*?)```", PAGE, re.S)}
POINTS = re.findall(r'```toml\n\[project\.entry-points\.("diffir\.\w+")\]\n(.*?)```', PAGE, re.S)


def install(folder: Path, modules: dict[str, str], points: str) -> None:
    """Write a package with its metadata into a folder, as pip does."""
    for name, text in modules.items():
        (folder / f"{name}.py").write_text(text, "utf-8")
    metadata = folder / "examples-1.0.dist-info"
    metadata.mkdir()
    (metadata / "METADATA").write_text("Metadata-Version: 2.1\nName: examples\nVersion: 1.0\n", "utf-8")
    (metadata / "entry_points.txt").write_text(points, "utf-8")


@pytest.fixture
def examples(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """All examples of the page, in one package."""
    site = tmp_path / "site"
    site.mkdir()
    shutil.copy(TESTS / "toy_system.py", site)
    install(site, CODE, "\n".join(f"[{group}]\n{lines}" for group, lines in POINTS).replace('"', ""))
    monkeypatch.syspath_prepend(str(site))
    monkeypatch.setattr(sys, "modules", dict(sys.modules))  # the next test imports the examples of its own folder
    return site


def test_the_page_has_an_example_for_every_group():
    groups = {group[1:-1] for group, _ in POINTS}

    assert groups == {f"diffir.{kind}" for kind in ("degradations", "metrics", "losses", "loggers", "systems")}


def test_a_degradation_is_a_step_of_recipes(examples):
    recipe = build_recipe([{"type": "vignette", "strength": [1, 1], "prob": 1}])

    darkened = recipe(torch.ones(1, 3, 8, 8), torch.Generator())

    assert darkened[0, 0, 0, 0] < darkened[0, 0, 4, 4]


def test_a_metric_scores_folders(examples, tmp_path, capsys):
    write_image(tmp_path / "a/1.png", np.zeros((16, 16, 3), np.uint8))
    write_image(tmp_path / "b/1.png", np.full((16, 16, 3), 7, np.uint8))

    code = main(["score", str(tmp_path / "a"), str(tmp_path / "b"), "--metrics", "psnr,largest_error"])

    assert code == 0
    assert "7.0" in capsys.readouterr().out


def test_a_loss_is_added_with_its_weight(examples):
    restored, gt = torch.rand(2, 1, 3, 8, 8)
    config = TrainConfig(losses={"edge": {"weight": 0.5, "power": 2.0}})

    losses = Criterion(config, has_mask=False).generator_losses(restored, gt, restored)

    squares = [(restored - gt).diff(dim=axis).square().mean() for axis in (2, 3)]
    assert torch.allclose(losses.terms["l_edge"], sum(squares))
    assert torch.allclose(losses.total, losses.terms["l_pix"] + 0.5 * losses.terms["l_edge"])


def test_a_logger_follows_a_run(examples, tmp_path):
    names = LoggerConfig(loggers=("csv",)).loggers
    with RunLog(tmp_path, stage=2, total_iter=9, first_step=0, use_tb_logger=False, loggers=names) as log:
        log.record(5, "train", {"l_pix": 0.25})
        log.picture(5, "photo", np.zeros((4, 4, 3), np.uint8))

    assert (tmp_path / "stage2.csv").read_text("utf-8") == "5,train,l_pix,0.25\n5,picture,photo,(4, 4, 3)\n"


def test_a_system_is_in_the_table(examples):
    assert "toy" in SYSTEMS
    assert SYSTEMS["toy"].stages == ("kernel",)


def test_an_extension_in_an_archive_is_found(examples, tmp_path, monkeypatch):
    archive = shutil.make_archive(str(tmp_path / "packages"), "zip", examples)
    monkeypatch.setattr(sys, "path", [archive, *(place for place in sys.path if place != str(examples))])

    assert "largest_error" in METRICS


def test_an_extension_that_only_an_import_hook_knows_is_found(examples, tmp_path, monkeypatch):
    class Hook:
        def find_distributions(self, context):
            return PathFinder.find_distributions(DistributionFinder.Context(path=[str(examples)]))

    monkeypatch.setattr(sys, "path", [place for place in sys.path if place != str(examples)])
    assert "largest_error" not in METRICS

    monkeypatch.setattr(sys, "meta_path", [*sys.meta_path, Hook()])

    assert "largest_error" in METRICS


def test_without_extensions_the_slow_search_for_them_is_left_out(tmp_path, monkeypatch):
    def search(**_: str) -> NoReturn:
        raise AssertionError("importlib.metadata was asked")

    install(tmp_path, {}, "[console_scripts]\nexample = example:main\n")
    monkeypatch.setattr(sys, "path", [str(tmp_path), str(tmp_path / "missing")])
    monkeypatch.setattr(importlib.metadata, "entry_points", search)

    assert list(SYSTEMS) == ["diffir", "latent", "realesrgan", "spandrel"]


BROKEN = """[diffir.metrics]
lost = no_such_module:METRIC
psnr = broken:NOTHING
wrong = broken:NOTHING
[diffir.losses]
gan = broken:Loss
picky = broken:Loss
[diffir.systems]
wrong = broken:NOTHING
"""


@pytest.fixture
def broken(tmp_path, monkeypatch):
    install(tmp_path, {"broken": "NOTHING = 1\nclass Loss:\n    def __call__(self, restored, gt): ...\n"}, BROKEN)
    monkeypatch.syspath_prepend(str(tmp_path))


@pytest.mark.parametrize(
    ("use", "message"),
    [
        (lambda: get_metrics(["lost"]), r"the metric 'lost' of another package \(no_such_module:METRIC\) cannot be"),
        (lambda: get_metrics(["wrong"]), "must be a diffir.metrics.metric.Metric"),
        (lambda: SYSTEMS["wrong"], "must be an instance of a subclass of diffir.system.System"),
        (lambda: TrainConfig(losses={"gan": {}}), "needs another name"),
        (lambda: TrainConfig(losses={"lpips": {}}), "losses: unknown loss 'lpips'"),
        (lambda: TrainConfig(losses={"picky": {"weight": -1}}), "picky: weight must be a number, 0 or more, got -1"),
        (lambda: Criterion(TrainConfig(losses={"picky": {"a": 1}}), has_mask=False), "losses: picky: .*argument"),
        (lambda: RunLog(Path(), stage=1, total_iter=1, first_step=0, use_tb_logger=False, loggers=["w"]), "logger 'w'"),
    ],
)
def test_a_broken_extension_is_one_line_where_it_is_used(broken, tmp_path, monkeypatch, use, message):
    monkeypatch.chdir(tmp_path)

    with pytest.raises((ConfigError, UsageError), match=message) as refused:
        use()

    assert "\n" not in str(refused.value)


def test_a_broken_extension_is_left_out_of_lists_with_one_warning_and_replaces_nothing(broken, caplog):
    names = [list(METRICS) for _ in range(2)][1]

    assert "psnr" in names
    assert not {"lost", "wrong"} & set(names)
    assert METRICS["psnr"].name == "psnr"
    assert sum("no_such_module" in message for message in caplog.messages) <= 1


def write_toy_run(folder: Path) -> None:
    """Write a photo and the options of a run of the system ``toy``."""
    write_image(folder / "photos/1.png", np.random.default_rng(0).integers(0, 256, (48, 48, 3), dtype=np.uint8))
    options = {
        "name": "toy",
        "system": "toy",
        "network_g": {"task": "toy"},
        "datasets": {
            "train": {
                "dataroot_gt": str(folder / "photos"),
                "gt_size": 16,
                "batch_size_per_gpu": 1,
                "degradation": [{"type": "vignette", "strength": [0, 1]}],
            }
        },
        "train": {"total_iter": 2, "ema_decay": 0},
        "logger": {"print_freq": 1, "loggers": ["csv"]},
        "path": {"experiments_root": str(folder / "runs")},
    }
    (folder / "toy.yml").write_text(json.dumps(options), "utf-8")


@pytest.mark.slow
def test_an_installed_system_and_logger_train_and_restore(examples, tmp_path):
    write_toy_run(tmp_path)
    environment = {"PYTHONPATH": str(examples), "PATH": "", "HOME": str(tmp_path)}

    def run(*arguments: str) -> subprocess.CompletedProcess:
        command = [sys.executable, "-m", "diffir", *arguments]
        return subprocess.run(command, env=environment, capture_output=True, text=True, cwd=tmp_path)

    trained = run("train", "-opt", "toy.yml")
    weights = next((tmp_path / "runs").rglob("*.safetensors"), None)
    restored = run("restore", "photos/1.png", "--model_path", str(weights), "--gain", "0.5", "-o", "out.png")

    assert trained.returncode == 0, trained.stderr
    assert next((tmp_path / "runs").rglob("stage1.csv")).read_text("utf-8").startswith("1,train,")
    assert restored.returncode == 0, restored.stderr
    assert (tmp_path / "out.png").is_file()


def test_a_system_that_only_restores_has_one_part_and_no_stages() -> None:
    for name in ("realesrgan", "spandrel"):
        assert SYSTEMS[name].stages == SYSTEMS[name].usual_stages == ()
        assert SYSTEMS[name].parts == (SYSTEMS[name].restoring_part,)
