"""The README and the pages it sends users to are true: their commands run or parse, and the files they name exist."""

import os
import re
import shlex
import subprocess
from pathlib import Path

import cv2
import pytest
import yaml

from diffir.cli.main import COMMANDS, main
from diffir.metrics.fidelity import psnr

REPOSITORY = Path(__file__).resolve().parents[1]
README = (REPOSITORY / "README.md").read_text("utf-8")
PAGES = ("README.md", "docs/install.md", "docs/restoring.md", "docs/training.md", "docs/formats.md", "docs/networks.md")
PAGES += ("docs/which-network.md", "docs/coming-from.md", "docs/reproducing-the-paper.md")
LINKS = re.compile(r"\]\((?!http)([^)#]+)[^)]*\)")


def commands_of(page: str) -> list[str]:
    """The lines of the page's bash blocks, without their comments."""
    blocks = re.findall(r"```bash\n(.*?)```", (REPOSITORY / page).read_text("utf-8"), flags=re.S)
    lines = [line.split("#")[0].strip() for block in blocks for line in block.splitlines()]
    return [line for line in lines if line]


DIFFIR_LINES = list(dict.fromkeys(line for page in PAGES for line in commands_of(page) if line.startswith("diffir ")))


@pytest.fixture(autouse=True)
def in_repository(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(REPOSITORY)


def test_there_are_two_short_ways_to_set_up() -> None:
    installs = [line for line in commands_of("README.md") if "install" in line]

    assert len(installs) == 2
    assert all(line.startswith("tools/install ") and len(line) < 90 for line in installs)
    assert installs[0].endswith("diffir restore datasets/samples/noisy -o restored")
    assert installs[1].endswith("-m pytest -n auto")


def test_the_test_command_stands_where_the_continuous_integration_reads_it() -> None:
    assert re.search(r"^```bash\n# test\n.* -m pytest -n auto$", README, flags=re.M)
    assert "/^# test$/{n;p;}" in (REPOSITORY / ".ci/run").read_text("utf-8")


def test_the_installer_pins_what_it_installs_and_refuses_unknown_arguments() -> None:
    script = REPOSITORY / "tools/install"
    refused = subprocess.run([script, "tset"], capture_output=True, text=True)

    assert os.access(script, os.X_OK)
    assert "--constraint constraints.txt" in script.read_text("utf-8")
    assert refused.returncode == 1
    assert refused.stderr == "tools/install: unknown argument 'tset'; it takes test, dev or nothing\n"


def test_the_first_command_restores_the_samples_and_they_get_better(tmp_path: Path) -> None:
    assert main(["restore", "datasets/samples/noisy", "-o", str(tmp_path)]) == 0

    for clean in (REPOSITORY / "datasets/samples/clean").glob("*.png"):
        gt, noisy, restored = (
            cv2.imread(str(path)) for path in (clean, clean.parents[1] / "noisy" / clean.name, tmp_path / clean.name)
        )
        assert psnr(restored, gt) > psnr(noisy, gt) + 6, clean.name


@pytest.mark.parametrize("line", DIFFIR_LINES)
def test_every_command_shown_exists_and_takes_its_flags(line: str, capsys: pytest.CaptureFixture[str]) -> None:
    words = shlex.split(line)[1:]

    with pytest.raises(SystemExit) as stopped:
        main([*words, "--help"])

    shown = capsys.readouterr().out
    assert stopped.value.code == 0
    assert words[0] in COMMANDS
    flags = [word for word in words if word.startswith("-")]
    assert all(re.search(rf"(^|[\s,]){re.escape(flag)}\b", shown) for flag in flags)


@pytest.mark.parametrize("line", [line for line in DIFFIR_LINES if line.startswith("diffir train")])
def test_every_training_command_shown_finds_what_it_names(line: str, capsys: pytest.CaptureFixture[str]) -> None:
    words = [word.replace("PHOTOS", "datasets/samples/train") for word in shlex.split(line)[1:]]

    assert main([*words, "--dry_run"]) == 0

    resolved = yaml.safe_load(capsys.readouterr().out)
    if "--dry_run" not in words:
        folders = [photos["dataroot_gt"] for photos in resolved["datasets"].values() if photos]
        assert all((REPOSITORY / folder).is_dir() for folder in folders)


@pytest.mark.parametrize("page", PAGES)
def test_every_path_written_out_is_there(page: str) -> None:
    for target in re.findall(r"\b(?:options|datasets)/[\w/]+\.\w+", (REPOSITORY / page).read_text("utf-8")):
        assert (REPOSITORY / target).exists(), target


def test_every_page_of_the_documentation_can_be_reached_from_the_readme() -> None:
    assert {f"docs/{path.name}" for path in REPOSITORY.glob("docs/*.md")} <= set(LINKS.findall(README))


def test_the_readme_is_three_screens() -> None:
    assert README.count("\n") <= 110


def test_the_readme_has_no_long_line_but_in_its_tables() -> None:
    assert [line for line in README.splitlines() if len(line) > 110 and not line.startswith("|")] == []


def test_the_readme_strings_no_sentences_together() -> None:
    assert 1000 * README.count(";") / len(README.split()) <= 8
