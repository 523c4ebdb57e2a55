"""docs/restore-and-compare.ipynb runs from top to bottom, from any folder, and is kept without results."""

import json
from pathlib import Path
from typing import Any

import pytest

NOTEBOOK = Path(__file__).resolve().parents[1] / "docs/restore-and-compare.ipynb"
CELLS: list[dict[str, Any]] = json.loads(NOTEBOOK.read_text("utf-8"))["cells"]
CODE = [cell for cell in CELLS if cell["cell_type"] == "code"]


def test_no_results_are_stored() -> None:
    assert [cell["id"] for cell in CODE if cell["outputs"] or cell["execution_count"] is not None] == []


def test_it_is_a_notebook_that_jupyter_accepts() -> None:
    nbformat = pytest.importorskip(
        "nbformat", reason="nbformat is not installed, so the notebook's form is not checked"
    )

    assert nbformat.validate(nbformat.read(NOTEBOOK, as_version=4)) is None  # it raises otherwise


@pytest.mark.slow
def test_every_cell_runs_and_the_photo_gets_better(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    names: dict[str, Any] = {}

    for cell in CODE:
        exec(compile("".join(cell["source"]), cell["id"], "exec"), names)

    assert names["scores"]["restored"]["psnr"] > names["scores"]["noisy"]["psnr"] + 6
    assert names["scores"]["restored"]["lpips"] < names["scores"]["noisy"]["lpips"]
    assert names["by_prior"]["its own"] > names["by_prior"]["that in full light"] + 1
    assert "<iframe" in names["restored"]._repr_html_()
    assert "shape (1, " in capsys.readouterr().out
