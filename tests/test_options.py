"""Every option file in the repository says something the program understands."""

from dataclasses import fields
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


def test_the_guide_to_options_loads_and_leaves_no_key_out(tmp_path):
    guide = (OPTIONS[0].parents[1] / "README.md").read_text("utf-8")
    example = tmp_path / "example.yml"
    example.write_text(guide.split("```yaml\n")[1].split("```")[0], "utf-8")

    config = load_config(example)

    assert config.network_g.arch().dim == 32
    for section in (config, config.datasets.train, config.train, config.val, config.logger, config.path):
        missing = [field.name for field in fields(section) if field.name not in guide]
        assert not missing, missing
