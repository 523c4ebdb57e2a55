"""What the README shows is what happens: its commands run, its flags exist, its files are there."""

import re
import shlex
from pathlib import Path

import cv2
import pytest
import yaml

from diffir.cli.main import COMMANDS, main
from diffir.metrics.fidelity import psnr

REPOSITORY = Path(__file__).resolve().parents[1]
README = (REPOSITORY / "README.md").read_text("utf-8")
BLOCKS = re.findall(r"```bash\n(.*?)```", README, flags=re.S)
COMMAND_LINES = [line.split("#")[0].strip() for block in BLOCKS for line in block.splitlines()]
DIFFIR_LINES = [line for line in COMMAND_LINES if line.startswith("diffir ")]


@pytest.fixture(autouse=True)
def in_repository(monkeypatch):
    monkeypatch.chdir(REPOSITORY)


def test_there_are_two_ways_in_and_both_pin_what_they_install():
    installs = [line for line in COMMAND_LINES if "pip install" in line]

    assert len(installs) == 2
    assert all("-c constraints.txt" in line for line in installs)
    assert installs[0].endswith("diffir restore datasets/samples/noisy -o restored")
    assert installs[1].endswith("-m pytest")


def test_the_first_command_restores_the_samples_and_they_get_better(tmp_path):
    assert main(["restore", "datasets/samples/noisy", "-o", str(tmp_path)]) == 0

    for clean in (REPOSITORY / "datasets/samples/clean").glob("*.png"):
        gt, noisy, restored = (
            cv2.imread(str(path)) for path in (clean, clean.parents[1] / "noisy" / clean.name, tmp_path / clean.name)
        )
        assert psnr(restored, gt) > psnr(noisy, gt) + 6, clean.name


@pytest.mark.parametrize("line", DIFFIR_LINES)
def test_every_command_shown_exists_and_takes_its_flags(line, capsys):
    words = shlex.split(line)[1:]

    with pytest.raises(SystemExit) as stopped:
        main([*words, "--help"])

    shown = capsys.readouterr().out
    assert stopped.value.code == 0
    assert words[0] in COMMANDS
    flags = [word for word in words if word.startswith("-")]
    assert all(re.search(rf"(^|[\s,]){re.escape(flag)}\b", shown) for flag in flags)


@pytest.mark.parametrize("line", [line for line in DIFFIR_LINES if line.startswith("diffir train")])
def test_every_training_command_shown_finds_what_it_names(line, capsys):
    words = [word.replace("PHOTOS", "datasets/samples/train") for word in shlex.split(line)[1:]]

    assert main([*words, "--dry_run"]) == 0

    resolved = yaml.safe_load(capsys.readouterr().out)
    if "--dry_run" not in words:
        folders = [photos["dataroot_gt"] for photos in resolved["datasets"].values() if photos]
        assert all((REPOSITORY / folder).is_dir() for folder in folders)


def test_every_file_the_readme_points_to_is_there():
    for target in re.findall(r"\]\((?!http)([^)#]+)\)", README):
        assert (REPOSITORY / target).exists(), target
    for target in re.findall(r"(?:options|datasets)/[\w/]+\.\w+", README):
        assert (REPOSITORY / target).exists(), target


def test_the_readme_is_short():
    assert README.count("\n") <= 180
