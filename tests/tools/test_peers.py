"""``tools.speed.peers``: networks of others have the parameters of their papers, and each score that of its file."""

import importlib
import json
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import pytest
import torch

from diffir.data.cards.published_rows import load_published

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="module")
def tool() -> Iterator[ModuleType]:
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(ROOT)
        yield importlib.import_module("tools.speed.peers")


@pytest.mark.parametrize(
    ("name", "parameters", "scale"),
    [("FFDNet", 852_108, 1), ("IMDN", 715_176, 4), ("PAN", 272_419, 4), ("PReNet", 168_963, 1)],
)
def test_a_network_has_the_parameters_that_its_authors_state(
    tool: ModuleType, name: str, parameters: int, scale: int
) -> None:
    network = getattr(tool.small, name)().eval()

    with torch.inference_mode():
        restored = network(torch.rand(1, 3, 16, 24))

    assert tool.parameters_of(network) == parameters
    assert restored.shape == (1, 3, 16 * scale, 24 * scale)


def test_each_row_has_the_seconds_of_every_round_and_the_score_of_its_source(tool: ModuleType, tmp_path: Path) -> None:
    path = tmp_path / "peers.json"

    tool.main(["--only", "enlarging", "--side", "64", "--rounds", "2", "--json", str(path)])

    rows = {row["network"]: row for row in json.loads(path.read_text("utf-8"))["rows"]}
    assert list(rows) == ["PAN", "IMDN", "sr_x4"]
    assert all(len(row["seconds"]) == 2 for row in rows.values())
    imdn = next(row for row in load_published() if (row.method, row.dataset) == ("IMDN", "Set5"))
    assert rows["IMDN"]["score"] == imdn.scores["psnr"]
    # The paper counts 40.9 G multiply-adds for 1280 x 720.
    assert rows["IMDN"]["multiply_adds"] == pytest.approx(40.9e9 / (1280 * 0.72) * 1e3, rel=0.01)


def test_the_table_lists_the_networks_of_a_task_by_their_multiply_adds(tool: ModuleType) -> None:
    rows = [
        tool.Row("deraining", "PReNet", "torch", 168_963, 2e12, [3.0, 1.0, 2.0], 37.48),
        tool.Row("deraining", "derain", "diffir", 3_300_000, 1e11, [0.5], None),
    ]

    ours, other = tool.table(rows).splitlines()[2:]

    assert ours.startswith("| deraining | **`derain`** | 3.30 | 100 | 0.5")
    assert "| - (Rain100L, PSNR) |" in ours
    assert "| 2000 | 2.0 (1.0 to 3.0) | 37.48 (Rain100L, PSNR) |" in other


def test_an_unknown_task_is_one_line(tool: ModuleType, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as stopped:
        tool.main(["--only", "deblocking"])

    assert stopped.value.code == 2
    assert "no task 'deblocking'; known: denoising, enlarging" in capsys.readouterr().err
