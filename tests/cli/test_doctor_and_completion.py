"""``diffir doctor`` says what an installation has, and ``diffir completion`` prints what a shell needs."""

import json
import shutil
import subprocess
import sys

import numpy
import pytest
import torch

from diffir._version import __version__
from diffir.cli.main import COMMANDS, main
from diffir.native import bindings


def test_doctor_names_what_an_issue_report_needs(capsys) -> None:
    assert main(["doctor"]) == 0

    text = capsys.readouterr().out
    for fact in (__version__, torch.__version__, f"numpy {numpy.__version__}", "ffmpeg", "auto takes", ".png", "photo"):
        assert fact in text
    assert text.endswith("no problem found\n")


def test_doctor_speaks_json(capsys) -> None:
    assert main(["doctor", "--json"]) == 0

    found = json.loads(capsys.readouterr().out)
    assert found["problems"] == []
    assert found["torch"].startswith(torch.__version__)


def test_doctor_says_why_there_are_no_kernels(capsys, monkeypatch) -> None:
    monkeypatch.setattr(bindings, "kernels_here", list)

    assert main(["doctor", "--json"]) == 0

    assert json.loads(capsys.readouterr().out)["kernels"].endswith("torch does their work")


def test_an_installation_without_weights_is_a_problem(capsys, monkeypatch, tmp_path) -> None:
    from diffir.weights import catalogue

    monkeypatch.setattr(catalogue, "PRETRAINED", tmp_path)
    monkeypatch.setattr(catalogue.default_name, "__defaults__", (tmp_path,))

    assert main(["doctor"]) == 1

    assert "problem    this installation contains no weights" in capsys.readouterr().out


@pytest.mark.parametrize("shell", ["bash", "zsh", "tcsh"])
def test_the_script_for_a_shell_knows_every_command_and_is_printed_as_it_is(shell, capsys) -> None:
    shtab = pytest.importorskip("shtab", reason="shtab is not installed")
    from diffir.cli.parser import make_full_parser

    assert main(["completion", shell]) == 0

    script = capsys.readouterr().out
    assert script.rstrip("\n") == shtab.complete(make_full_parser(COMMANDS), shell=shell).rstrip("\n")
    assert all(command in script for command in COMMANDS)
    assert "--outscale" in script or shell == "tcsh"


@pytest.mark.slow
@pytest.mark.skipif(shutil.which("bash") is None, reason="bash is not installed")
def test_bash_completes_a_flag(tmp_path) -> None:
    pytest.importorskip("shtab", reason="shtab is not installed")
    command = [sys.executable, "-m", "diffir", "completion", "bash"]
    script = subprocess.run(command, capture_output=True, check=True, text=True).stdout
    script += "\nCOMP_WORDS=(diffir restore --outs); COMP_CWORD=2; _shtab_diffir diffir --outs restore; echo $COMPREPLY"

    completed = subprocess.run(["bash", "-c", script], capture_output=True, check=True, text=True)

    assert completed.stdout.strip() == "--outscale"


def test_without_shtab_the_command_says_how_to_get_it(capsys, monkeypatch) -> None:
    monkeypatch.setitem(sys.modules, "shtab", None)

    assert main(["completion", "bash"]) == 1

    assert "needs the package 'shtab'" in capsys.readouterr().err
