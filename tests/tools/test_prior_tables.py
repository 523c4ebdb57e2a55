"""The tables of what the diffusion buys are arithmetic, and the page holds what its files give."""

import importlib.util
import json
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
SPEC = importlib.util.spec_from_file_location("prior_tables", ROOT / "tools/prior_tables.py")
tables = importlib.util.module_from_spec(SPEC)
SPEC.loader.exec_module(tables)


def test_variants_are_paired_by_seed_and_photo() -> None:
    runs = [("T = 4", 1, 20.0, 30.0), ("T = 4", 2, 22.0, 30.0), ("other", 1, 21.0, 31.0)]
    results = [{"variant": name, "seed": seed, "psnr": {"a": a, "b": b}} for name, seed, a, b in runs]

    rows = tables.of_variants(results).splitlines()

    assert rows[2] == "| T = 4 | 25.00 | 26.00 | 25.50 |  |"
    assert rows[3] == "| other | 26.00 | - | 26.00 | +1.000 (+1.000 to +1.000) |"


def test_priors_are_compared_with_the_diffusions_photo_by_photo() -> None:
    def result(prior: str, *values: float) -> dict:
        images = [{"name": str(number), "scores": {"psnr": value}} for number, value in enumerate(values)]
        return {"dataset": "set5", "condition": "sigma 25", "network": {"prior": prior}, "images": images}

    rows = tables.of_priors([result("diffusion", 20.0, 30.0), result("mean", 21.0, 30.0)]).splitlines()

    assert rows[0] == "| prior | set5, sigma 25 | gain |"
    assert rows[2:] == ["| diffusion | 25.00 |  |", "| mean | 25.50 | +0.500 (+0.000 to +1.000) |"]


def test_a_table_is_written_behind_its_mark_and_nowhere_else(tmp_path: Path) -> None:
    results = [{"variant": "T = 4", "seed": 1, "psnr": {"a": 20.0, "b": 21.0}}]
    (tmp_path / "r.json").write_text(json.dumps({"results": results}), "utf-8")

    made = tables.with_tables("before\n\n<!-- r.json -->\n\n| old |\n\nafter\n", tmp_path)

    assert made.startswith("before\n\n<!-- r.json -->\n\n| variant | seed 1 |") and made.endswith("|\n\nafter\n")
    assert "old" not in made
    assert tables.with_tables(made, tmp_path) == made


def test_the_page_holds_what_its_files_give() -> None:
    text = tables.PAGE.read_text("utf-8")

    assert {path.name for path in tables.FOLDER.glob("*.json")} == set(tables.MARKED.findall(text))
    assert tables.with_tables(text, tables.FOLDER) == text, "run python tools/prior_tables.py"
