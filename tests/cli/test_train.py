"""The command ``diffir train``: exit codes, output, and overrides."""

from pathlib import Path

import pytest

from diffir.api import load_config
from diffir.cli.main import main

REPOSITORY = Path(__file__).resolve().parents[2]
TINY = "options/debug/tiny.yml"


@pytest.fixture(autouse=True)
def in_repository(monkeypatch):
    monkeypatch.chdir(REPOSITORY)


def test_a_dry_run_prints_settings_that_load_and_trains_nothing(tmp_path, capsys):
    root = f"path.experiments_root={tmp_path / 'runs'}"

    assert main(["train", "-opt", TINY, "--dry-run", root, "train.total_iter=7"]) == 0

    (tmp_path / "printed.yml").write_text(capsys.readouterr().out, "utf-8")
    assert load_config(tmp_path / "printed.yml") == load_config(Path(TINY), [root, "train.total_iter=7"])
    assert not (tmp_path / "runs").exists()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["train.total_itr=5"], "did you mean 'total_iter'"),
        (["device=gpu"], "unknown device 'gpu'"),
        (["datasets.train.dataroot_gt=absent"], "dataroot_gt absent is not a folder"),
        (["datasets.train.dataroot_gt=absent"], "datasets/README.md says where to get datasets"),
        (["network_g.task=deblurr"], "unknown task 'deblurr'; did you mean 'deblur'?"),
        (["val.metrics=[psrn]"], "psrn is no metric"),
        (["name=["], "the value is not YAML"),
        (["stages=[4]"], "stages must be some of 1 (prior), 2 (diffusion), 3 (gan) in this order, got 4"),
    ],
)
def test_a_wrong_option_is_one_line_and_exit_code_two(arguments, message, tmp_path, capsys):
    code = main(["train", "-opt", TINY, f"path.experiments_root={tmp_path / 'runs'}", *arguments])

    assert code == 2
    assert message in capsys.readouterr().err
    assert not (tmp_path / "runs").exists()


def test_overrides_may_follow_basicsrs_flag(capsys):
    assert main(["train", "-opt", TINY, "--dry_run", "--force_yml", "train:total_iter=7", "manual_seed=3"]) == 0

    printed = capsys.readouterr().out
    assert "total_iter: 7" in printed
    assert "manual_seed: 3" in printed


def test_overrides_may_stand_before_and_after_flags(capsys):
    assert main(["train", "-opt", TINY, "manual_seed=3", "--dry_run", "train.total_iter=7"]) == 0

    printed = capsys.readouterr().out
    assert "total_iter: 7" in printed
    assert "manual_seed: 3" in printed


def test_a_flag_that_does_not_exist_is_refused(capsys):
    with pytest.raises(SystemExit) as stopped:
        main(["train", "-opt", TINY, "--dri_run"])

    assert stopped.value.code == 2
    assert "--dri_run" in capsys.readouterr().err
