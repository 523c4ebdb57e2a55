"""``tools.speed``: its report follows from what it measured, and a wrong call is one clear line."""

import importlib
import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parents[2]
QUICK = ["--task", "denoise_tiny", "--sizes", "32x32", "--rounds", "3", "--allocator", "default", "--skip_memory"]


@pytest.fixture(scope="module")
def tool() -> Iterator[ModuleType]:
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(ROOT)
        yield importlib.import_module("tools.speed.__main__")


@pytest.fixture(scope="module")
def document(tool: ModuleType, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    path = tmp_path_factory.mktemp("speed") / "found.json"
    assert tool.main([*QUICK, "--contenders", "network", "torch", "--json", str(path)]) == 0
    return json.loads(path.read_text("utf-8"))


def test_every_contender_asked_for_has_a_row_behind_that_of_plain(document: dict[str, Any]) -> None:
    assert [row["contender"] for row in document["rows"]] == ["plain", "network", "torch"]
    assert document["command"].startswith("python -m tools.speed --task denoise_tiny")


def test_ratios_are_those_of_the_seconds_of_each_round(document: dict[str, Any]) -> None:
    plain = document["rows"][0]["seconds"]

    for row in document["rows"]:
        ratios = [slow / fast for slow, fast in zip(plain, row["seconds"], strict=True)]
        assert len(ratios) == len(row["page_faults"]) == document["rounds"] == 3
        assert row["ratios"] == pytest.approx(ratios)
        assert row["ratio"] == pytest.approx(
            {"median": sorted(ratios)[1], "least": min(ratios), "greatest": max(ratios)}
        )


def test_every_form_in_fp32_gives_what_the_literal_network_gives_in_fp64(document: dict[str, Any]) -> None:
    assert all(0 < row["relative_error"] < 1e-5 for row in document["rows"])


def test_speeds_are_the_work_by_the_median_time(document: dict[str, Any]) -> None:
    for row in document["rows"]:
        assert row["gflop_per_second"] == pytest.approx(row["gflop"] / sorted(row["seconds"])[1])
        assert row["share_of_ceiling"] == pytest.approx(row["gflop_per_second"] / row["ceiling"])


def test_a_training_step_is_measured_too(tool: ModuleType, tmp_path: Path) -> None:
    assert tool.main([*QUICK, "--train", "--batch", "2", "--json", str(tmp_path / "t.json")]) == 0

    rows = json.loads((tmp_path / "t.json").read_text("utf-8"))["rows"]
    assert [(row["contender"], row["cell"]["batch"]) for row in rows] == [("plain", 2), ("network", 2)]
    assert all(row["relative_error"] < 1e-5 for row in rows)


def test_growth_gives_no_larger_photo_to_what_was_too_slow(tool: ModuleType, tmp_path: Path) -> None:
    sizes = ["--sizes", "32x32", "64x64", "--contenders", "torch", "--json", str(tmp_path / "g.json")]

    assert tool.main([*QUICK, "--growth", "--limit", "0", *sizes]) == 0

    rows = json.loads((tmp_path / "g.json").read_text("utf-8"))["rows"]
    assert [(row["cell"]["height"], len(row["seconds"]), row["ratios"]) for row in rows] == [(32, 1, [])]


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        (["--contenders", "nativ"], "unknown contender 'nativ' for restore; did you mean 'native'?"),
        (["--sizes", "large"], "unknown size 'large'"),
        (["--sizes", "40x40"], "size 40x40: sides must be multiples of 16"),
        (["--task", "denoise_tin"], "unknown task 'denoise_tin'; did you mean 'denoise_tiny'?"),
    ],
)
def test_a_wrong_call_is_one_line_and_exit_code_2(
    tool: ModuleType, capsys: pytest.CaptureFixture[str], wrong: list[str], said: str
) -> None:
    assert tool.main([*QUICK, *wrong]) == 2

    printed = capsys.readouterr()
    assert printed.err.startswith(f"speed: {said}") and printed.err.count("\n") == 1
    assert not printed.out


@pytest.mark.slow
@pytest.mark.parametrize(
    "call",
    [
        ["-m", "tools.speed"],
        ["tools/speed"],
        ["-m", "tools.speed.compare_runtimes"],
        ["tools/speed/compare_runtimes.py"],
    ],
)
def test_it_can_be_called_as_a_module_and_as_a_path(call: list[str]) -> None:
    shown = subprocess.run([sys.executable, *call, "--help"], cwd=ROOT, capture_output=True, text=True)

    assert shown.returncode == 0 and "--threads" in shown.stdout, shown.stderr


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="only Linux states the peak memory of a process")
def test_peak_memory_is_measured_in_a_process_of_its_own(tool: ModuleType, tmp_path: Path) -> None:
    quick = [word for word in QUICK if word != "--skip_memory"]

    assert tool.main([*quick, "--contenders", "torch", "--json", str(tmp_path / "m.json")]) == 0

    rows = json.loads((tmp_path / "m.json").read_text("utf-8"))["rows"]
    assert all(row["peak_megabytes"] >= 0 for row in rows)


def test_a_plot_without_matplotlib_says_what_to_install(
    tool: ModuleType, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "matplotlib", None)

    assert tool.main([*QUICK, "--plot", "x.png"]) == 2
    assert "pip install matplotlib" in capsys.readouterr().err
