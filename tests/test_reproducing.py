"""docs/reproducing-the-paper.md names files and cards that exist, published numbers and what the tool computes."""

import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from diffir.api import load_config
from tools.training_cost import cost

REPOSITORY = Path(__file__).resolve().parents[1]
PAGE = (REPOSITORY / "docs/reproducing-the-paper.md").read_text("utf-8")
CARDS = {path.stem: yaml.safe_load(path.read_text("utf-8")) for path in (REPOSITORY / "datasets/cards").glob("*.yml")}
TABLE_ROWS = [line for line in PAGE.splitlines() if line.startswith("|") and "---" not in line]
EXPECTED = [line for line in TABLE_ROWS if re.search(r"\b(PSNR|FID) \d", line)]
FOLDERS = "|".join(path.name for path in (REPOSITORY / "options").iterdir() if path.is_dir())
OPTION_FILES = sorted(set(re.findall(rf"`((?:{FOLDERS})/\w+)`", PAGE)))
COSTS = re.findall(r"^\| `(\w+/\w+)` \| ([\d,]+) \| ([\d.]+) M \| ([\d.]+) \|", PAGE, flags=re.M)


def published(dataset: str) -> set[str]:
    """All numbers that DiffIR's and latent diffusion's authors, or others about these, report on a set."""
    found: set[str] = set()

    def collect(value: Any) -> None:
        if isinstance(value, dict | list):
            for part in value.values() if isinstance(value, dict) else value:
                collect(part)
        elif value is not None:
            found.add(f"{float(value):g}")

    for group in yaml.safe_load((REPOSITORY / "datasets/published.yml").read_text("utf-8")):
        for method, sets in group["rows"].items():
            if method.startswith(("DiffIR", "LDM")):
                collect(sets.get(dataset))
    return found


@pytest.mark.parametrize("name", OPTION_FILES)
def test_every_option_file_named_is_read(name: str) -> None:
    assert load_config(REPOSITORY / f"options/{name}.yml").run_stages


def test_every_row_of_the_method_and_its_files_are_on_the_page() -> None:
    stages = {"s1", "s2", "gan"}
    full_size = {
        f"{path.parent.name}/{path.stem}" for path in (REPOSITORY / "options").glob("*/*.yml") if path.stem in stages
    }

    without_a_table = {name for name in full_size if name.startswith(("sr_x2", "realsr_x2", "realsr_x1"))}
    assert full_size - without_a_table <= set(OPTION_FILES)


@pytest.mark.parametrize("line", EXPECTED, ids=lambda line: line.split("|")[1].strip())
def test_every_card_named_exists(line: str) -> None:
    for cell in line.split("|")[3:-2]:
        for name in re.findall(r"`([\w:]+)`", cell):
            card, _, split = name.partition(":")
            assert card in CARDS, name
            assert not split or split in {part["name"] for part in CARDS[card]["splits"]}, name


@pytest.mark.parametrize("line", EXPECTED, ids=lambda line: line.split("|")[1].strip())
def test_every_expected_number_is_published(line: str) -> None:
    parts = re.split(r"(RealSRSet|NTIRE2020 T1|[A-Z]\w+)(?:, [a-z ]+)?: ", line.split("|")[-2])

    for dataset, text in zip(parts[1::2], parts[2::2], strict=True):
        numbers = [f"{float(number):g}" for number in re.findall(r"\d+\.\d+", text)]
        assert numbers
        assert set(numbers) <= published(dataset), dataset


@pytest.mark.slow
@pytest.mark.parametrize(("name", "steps", "patches", "operations"), COSTS, ids=[row[0] for row in COSTS])
def test_every_cost_is_what_the_tool_computes(name: str, steps: str, patches: str, operations: str) -> None:
    config = load_config(REPOSITORY / f"options/{name}.yml")

    (found,) = [cost(config, stage, 8) for stage in config.run_stages]

    assert found[0] == int(steps.replace(",", ""))
    assert found[1] / 1e6 == pytest.approx(float(patches), abs=0.051)
    assert found[2] / 1e18 == pytest.approx(float(operations), rel=0.01)
