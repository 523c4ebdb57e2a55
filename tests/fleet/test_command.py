"""The command ``diffir fleet``: mistakes are found before Ray starts, in one line."""

import sys
from pathlib import Path

import pytest

from diffir.cli.main import main
from diffir.fleet import run as run_module
from diffir.fleet.ledger import Ledger
from diffir.fleet.stores import Store
from diffir.fleet.worker import Work, row_of


def refusal(arguments: list[object], capsys) -> str:
    """Call the command, which must refuse; its one line."""
    try:
        code = main(["fleet", *map(str, arguments)])
    except SystemExit as stopped:
        code = stopped.code
    error = capsys.readouterr().err
    assert code
    assert error.count("\n") == 1
    return error


def test_places_that_make_no_sense_are_refused(photos: Path, network: Path, tmp_path: Path, capsys) -> None:
    (tmp_path / "empty").mkdir()
    weights = ["--model_path", network]

    assert "INPUT and OUTPUT are one place" in refusal([photos, "-o", photos, *weights], capsys)
    assert "no photo in" in refusal([tmp_path / "empty", "-o", tmp_path / "out", *weights], capsys)
    assert "cannot be listed" in refusal([tmp_path / "nowhere", "-o", tmp_path / "out", *weights], capsys)
    assert "nonsense://x" in refusal(["nonsense://x", "-o", tmp_path / "out", *weights], capsys)


@pytest.mark.parametrize(
    ("flags", "said"),
    [
        (["-n", "auto"], "name a network"),
        (["-n", "photoo"], "did you mean photo"),
        (["-n", "photo", "--steps", "4"], "--steps is no option of diffir networks"),
        (["-n", "photo", "--gpus", "1.5"], "a part of a GPU or a whole number of them"),
        (["-n", "photo", "--workers", "0"], "a whole number above 0"),
    ],
)
def test_flags_that_make_no_sense_are_refused(photos: Path, tmp_path: Path, flags, said, capsys) -> None:
    assert said in refusal([photos, "-o", tmp_path / "out", *flags], capsys)


def test_without_ray_the_message_says_how_to_install_it(photos, network, tmp_path, monkeypatch, capsys) -> None:
    monkeypatch.setitem(sys.modules, "ray", None)

    assert ".[fleet]" in refusal([photos, "-o", tmp_path / "out", "--model_path", network], capsys)


def test_errors_are_shown_counted_and_kept(photos, network, tmp_path, monkeypatch, capsys) -> None:
    def restore_all(rows, work: Work, fleet):
        yield [row_of(work, row, error=f"{row['below']}: bad" if row["below"] == "a.png" else "") for row in rows[:4]]

    monkeypatch.setattr(run_module, "restore_all", restore_all)
    arguments = [str(photos), "-o", str(tmp_path / "out"), "--model_path", str(network)]

    assert main(["fleet", *arguments]) == 1
    said = capsys.readouterr()

    assert said.err == "diffir: a.png: bad\n"
    assert "restored 3, failed 1, 2 not begun" in said.out
    assert len(Ledger(Store.at(str(tmp_path / "out/_ledger"))).rows()) == 4
