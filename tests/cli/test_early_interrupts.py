"""Ctrl-C while modules are imported, while a command works, and while the process ends."""

import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="Windows has no such signals")
# A module whose import is interrupted, and that hides it, as modules of torch and numpy may.
SWALLOWING = """
import signal
try:
    signal.raise_signal(signal.SIGINT)
except BaseException:
    raise ImportError("a part of this package cannot be imported")
"""
# The command "models", replaced by a function, in a process that has the default handler.
PROGRAM = """
import atexit, signal, sys
signal.signal(signal.SIGINT, signal.default_int_handler)
import diffir.cli.models as command
from diffir.cli.main import main
{function}
command.run = run
sys.argv = ["diffir", "models"]
sys.exit(main())
"""


def run(folder: Path, function: str) -> subprocess.CompletedProcess:
    (folder / "swallowing.py").write_text(SWALLOWING, "utf-8")
    call = [sys.executable, "-c", PROGRAM.format(function=function)]
    return subprocess.run(call, cwd=folder, capture_output=True, text=True, check=False)


@pytest.mark.parametrize(
    "function",
    [
        "def run(args): import swallowing",
        "def run(args): signal.raise_signal(signal.SIGINT)",
        "def run(args): atexit.register(signal.raise_signal, signal.SIGINT)",
        "def run(args): raise KeyboardInterrupt",
    ],
    ids=["within an import", "at work", "when the process ends", "raised by a library"],
)
def test_an_interrupt_is_one_line_and_exit_code_130(tmp_path: Path, function: str) -> None:
    done = run(tmp_path, function)

    assert (done.returncode, done.stdout, done.stderr) == (130, "", "diffir: interrupted\n")


def test_work_that_is_interrupted_cleans_up(tmp_path: Path) -> None:
    work = """
def run(args):
    try:
        signal.raise_signal(signal.SIGINT)
    finally:
        print("removed what was half written")
"""
    done = run(tmp_path, work)

    assert (done.returncode, done.stdout) == (130, "removed what was half written\n")


def test_a_process_that_ignores_the_signal_goes_on(tmp_path: Path) -> None:
    ignoring = """
signal.signal(signal.SIGINT, signal.SIG_IGN)
def run(args):
    signal.raise_signal(signal.SIGINT)
    return 0
"""
    assert run(tmp_path, ignoring).returncode == 0
