"""``tools.drill``: what counts as a fault, and that a case can be repeated."""

from collections.abc import Callable
from pathlib import Path
from random import Random
from types import SimpleNamespace

import pytest

from tools.drill import __main__ as drill
from tools.drill.mutations import mutated_bytes, mutated_text
from tools.drill.outcome import KINDS, Answer, Outcome, check_answer, check_files, snapshot

TRACEBACK = "Traceback (most recent call last):\n  File ...\nValueError: x"


@pytest.mark.parametrize(
    "mutate", [mutated_bytes, lambda content, random: mutated_text(content.decode("latin-1"), random)]
)
def test_damage_depends_on_the_seed_alone(mutate: Callable[[bytes, Random], bytes]) -> None:
    content = b"name: tiny\nscale: 4\n" * 30

    first, second = ([mutate(content, Random(seed)) for seed in range(200)] for _ in range(2))

    assert first == second
    assert len(set(first)) > 100
    assert content in first or content.rstrip(b"\n") in first  # the good case is drilled as well


@pytest.mark.parametrize(
    ("answer", "kind"),
    [
        (Answer(None), "hang"),
        (Answer(-11, "segmentation"), "crash"),
        (Answer(1, TRACEBACK), "traceback"),
        (Answer(0, "Exception ignored in: <function>"), "traceback"),
        (Answer(1, "diffir: a.png: a fault in diffir or in a library"), "traceback"),
        (Answer(2, "\n"), "silent"),
        (Answer(1, "diffir: a\x1b[2J.png is no image"), "raw"),
        (Answer(0, "done", 3000.0), "memory"),
    ],
)
def test_a_fault_of_each_kind_is_found(answer: Answer, kind: str) -> None:
    outcome = Outcome()

    check_answer(outcome, answer)

    assert [found for found, _ in outcome.faults] == [kind]
    assert kind in KINDS


@pytest.mark.parametrize("answer", [Answer(0), Answer(0, "a.png -> b.png\n"), Answer(2, "diffir: no such file\n")])
def test_a_result_and_a_refusal_are_no_faults(answer: Answer) -> None:
    outcome = Outcome()

    check_answer(outcome, answer)

    assert outcome.faults == []
    assert outcome.refused == (answer.code != 0)


def test_changed_inputs_and_foreign_files_are_found(tmp_path: Path) -> None:
    for name in ("kept", "changed", "removed"):
        (tmp_path / name).write_text(name, "utf-8")
    before, outcome = snapshot(tmp_path), Outcome()

    (tmp_path / "changed").write_text("other", "utf-8")
    (tmp_path / "removed").unlink()
    for name in ("out.png", ".diffir-12.tmp"):
        (tmp_path / name).write_bytes(b"")
    check_files(outcome, before, tmp_path, results=["out.*"])

    assert outcome.faults == [
        ("lost", "changed was changed"),
        ("lost", "removed was removed"),
        ("foreign", ".diffir-12.tmp"),
    ]


@pytest.mark.parametrize(("faults", "code"), [([], 0), ([("hang", "never ends")], 1)])
def test_the_exit_code_says_whether_a_fault_was_found(
    faults: list, code: int, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture
) -> None:
    def case(folder: Path, random: Random, material: object, caller: object) -> Outcome:
        (folder / "input").write_text("damaged", "utf-8")
        return Outcome(faults=faults)

    monkeypatch.setattr(drill, "make_material", lambda folder, caller: SimpleNamespace())
    monkeypatch.setattr(drill, "DRILLS", {"mine": case})
    monkeypatch.setattr(drill.os, "nice", lambda by: 0)

    assert drill.main(["--only", "mine", "--case", "3", "--seed", "5", "--keep", str(tmp_path / "found")]) == code

    printed = capsys.readouterr().out
    assert ("hang in mine, seed 5, case 3: 'never ends'" in printed) == bool(faults)
    assert f"1 cases, {len(faults)} faults" in printed
    assert (tmp_path / "found/mine_5_3/input").is_file() == bool(faults)


def test_an_unknown_drill_is_wrong_usage(capsys: pytest.CaptureFixture) -> None:
    assert drill.main(["--only", "earthquakes"]) == 2
    assert "known: photos, masks" in capsys.readouterr().err


@pytest.mark.slow
@pytest.mark.parametrize("name", ["photos", "texts", "documents"])
def test_a_case_runs_and_finds_nothing(
    name: str, capsys: pytest.CaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(drill.os, "nice", lambda by: 0)

    assert drill.main(["--only", name, "--case", "0"]) == 0, capsys.readouterr().out
