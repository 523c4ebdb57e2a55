"""Every option file in the repository says something the program understands."""

from pathlib import Path

import pytest

from diffir.archs import DiffIR
from diffir.config_file import load_config
from diffir.degradations.recipes import build_recipe

OPTIONS = sorted((Path(__file__).resolve().parents[1] / "options").rglob("*.yml"))


@pytest.mark.parametrize("path", OPTIONS, ids=lambda path: f"{path.parent.name}/{path.name}")
def test_an_option_file_loads_and_builds_its_network_and_recipe(path):
    config = load_config(path)

    assert build_recipe(config.datasets.train.degradation)
    assert DiffIR(config.network_g.arch(), stage=2).settings == config.network_g.arch()


def test_there_are_option_files():
    assert len(OPTIONS) >= 2
