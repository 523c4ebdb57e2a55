"""Dry runs and shortened runs."""

from pathlib import Path

import pytest

from diffir.api import load_config
from diffir.errors import ConfigError
from diffir.systems import SYSTEMS
from diffir.systems.diffir.system import DIFFIR
from diffir.training.dry_run import STEPS, dry_run, shortened

REPOSITORY = Path(__file__).resolve().parents[2]


def options(*overrides: str):
    samples = f"{REPOSITORY}/datasets/samples"
    photos = [f"datasets.train.dataroot_gt={samples}/train", f"datasets.val.dataroot_gt={samples}/clean"]
    return load_config(REPOSITORY / "options/debug/tiny.yml", [*photos, *overrides])


def test_a_dry_run_describes_the_run_and_writes_nothing(tmp_path):
    lines = list(dry_run(options(f"path.experiments_root={tmp_path}"), DIFFIR))

    assert "first batch: lq 4 x 3 x 64 x 64, gt 4 x 3 x 64 x 64" in lines
    assert "validation photos: 3" in lines
    assert not list(tmp_path.iterdir())


def test_a_dry_run_ends_with_the_stages_that_would_run_and_what_each_learns(tmp_path):
    lines = list(dry_run(options(f"path.experiments_root={tmp_path}", "stages=[1,2,3]"), DIFFIR))

    assert [line for line in lines[-8:] if "phase" in line] == [
        "  phase joint: steps 0 to 150, g at 0.002",
        "  phase prior: steps 0 to 50, g at 0.002",
        "  phase joint: steps 50 to 200, g at 0.002",
        "  phase prior: steps 0 to 50, g at 0.002",
        "  phase joint: steps 50 to 200, g at 0.002",
    ]
    assert [line.partition(":")[0] for line in lines[-8:] if "phase" not in line] == [
        "stage 1 (prior)",
        "stage 2 (diffusion)",
        "stage 3 (gan)",
    ]


def test_a_dry_run_of_a_later_stage_alone_names_the_weights_that_it_lacks(tmp_path):
    with pytest.raises(ConfigError, match=r"stage-1 weights are needed, and .*tiny_stage1\.safetensors does not exist"):
        list(dry_run(options(f"path.experiments_root={tmp_path}", "stages=[2]"), DIFFIR))


def test_a_dry_run_ends_with_the_error_of_the_run():
    with pytest.raises(ConfigError, match="nowhere"):
        list(dry_run(options("datasets.train.dataroot_gt=nowhere"), DIFFIR))


@pytest.mark.parametrize("path", sorted((REPOSITORY / "options").rglob("*.yml")), ids=lambda path: path.parent.name)
def test_every_option_file_can_be_shortened(path):
    whole = load_config(path)
    config = shortened(whole, SYSTEMS[whole.system])

    assert config.name.startswith("debug_")
    assert {stage.total_iter for stage in config.stages.values()} == {STEPS}
