"""Steps of other packages join through an entry point."""

import pytest
import torch

from diffir.degradations.recipes import build_recipe
from diffir.errors import ConfigError

MODULE = """
from dataclasses import dataclass


@dataclass(frozen=True)
class Darken:
    stops: tuple[float, float]

    def __call__(self, image, draw):
        return image * 2 ** -draw.uniform(*self.stops)


def not_a_step(image, draw):
    return image
"""
POINTS = """[diffir.degradations]
darken = darkening_steps:Darken
blur = darkening_steps:Darken
function = darkening_steps:not_a_step
lost = darkening_steps:Absent
"""


@pytest.fixture(autouse=True)
def installed_package(tmp_path, monkeypatch):
    folder = tmp_path / "darkening-1.0.dist-info"
    folder.mkdir()
    (folder / "METADATA").write_text("Metadata-Version: 2.1\nName: darkening\nVersion: 1.0\n", "utf-8")
    (folder / "entry_points.txt").write_text(POINTS, "utf-8")
    (tmp_path / "darkening_steps.py").write_text(MODULE, "utf-8")
    monkeypatch.syspath_prepend(str(tmp_path))


def test_a_step_of_another_package_is_used_by_its_name():
    recipe = build_recipe([{"type": "darken", "stops": [1, 1], "prob": 1}])

    assert torch.allclose(recipe(torch.ones(2, 3, 8, 8), torch.Generator()), torch.full((2, 3, 8, 8), 0.5))


def test_our_own_steps_cannot_be_replaced():
    with pytest.raises(ConfigError, match="'sigma' is missing"):
        build_recipe([{"type": "blur"}])


@pytest.mark.parametrize(
    ("step", "message"),
    [
        ({"type": "darken", "stop": [1, 1]}, r"step 1 \(darken\): unknown key 'stop'; did you mean 'stops'"),
        ({"type": "darkn"}, "did you mean 'darken'"),
        ({"type": "function"}, r"'function' of another package \(darkening_steps:not_a_step\) must be a dataclass"),
        (
            {"type": "lost"},
            r"step 1: the degradation 'lost' of another package \(darkening_steps:Absent\) cannot be loaded",
        ),
    ],
)
def test_what_is_wrong_with_it_is_one_line(step, message):
    with pytest.raises(ConfigError, match=message):
        build_recipe([step])
