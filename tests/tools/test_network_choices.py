"""``tools/network_choices.py`` draws the pictures of docs/which-network.md from damaged photos."""

from pathlib import Path

import numpy as np
import pytest

from diffir.degradations.recipes import build_recipe
from diffir.image_io import write_image
from diffir.systems import SYSTEMS
from diffir.weights.catalogue import catalogue
from tools import network_choices as tool

REPOSITORY = Path(__file__).resolve().parents[2]
SHIPPED = catalogue(SYSTEMS)
PAGE = (REPOSITORY / "docs/which-network.md").read_text("utf-8")
CASES = [case for cases in tool.SHEETS.values() for case in cases]


@pytest.mark.parametrize("case", CASES, ids=lambda case: f"{case.photo}-{case.networks[-1]}")
def test_every_case_names_steps_and_networks_that_exist(case) -> None:
    assert build_recipe(list(case.steps)).scale in (1, 4)
    for chain in case.networks:
        assert all(name == "bicubic" or name in SHIPPED for name in chain.split(" > "))


def test_the_page_shows_every_picture_and_names_its_photos() -> None:
    for name, cases in tool.SHEETS.items():
        assert f"(images/which_network/{name}.jpg)" in PAGE
        assert all(case.photo in PAGE for case in cases)


def test_a_row_holds_the_input_the_results_and_the_original(tmp_path: Path) -> None:
    write_image(tmp_path / "a.png", np.random.default_rng(0).integers(0, 256, (260, 264, 3)).astype(np.uint8))
    shrunk = tool.Case("a", (0, 250), [tool.SHRINK, tool.ROUND], ["bicubic"])

    lq, enlarged, original = tool.row(tmp_path, shrunk)

    assert lq.image.shape == (64, 64, 3)
    assert lq.enlarged == 4
    assert enlarged.image.shape == original.image.shape == (tool.CELL, tool.CELL, 3)
    assert enlarged.caption.startswith("bicubic  ")


def test_the_page_names_every_network_that_ships() -> None:
    shipped = [path.stem for path in (REPOSITORY / "diffir/weights/pretrained").glob("*.safetensors")]

    assert [name for name in shipped if f"`{name}`" not in PAGE] == []
