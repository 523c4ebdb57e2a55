"""docs/degradations.md names every step, key, limit and recipe, and its examples work."""

import re
from dataclasses import MISSING, fields
from pathlib import Path

import pytest
import torch
import yaml

from diffir.degradations.assembly import known_steps
from diffir.degradations.draw import Draw
from diffir.degradations.recipe_file import shipped_recipes
from diffir.degradations.recipes import load_recipe
from diffir.degradations.steps import STEPS
from diffir.field_ranges import rules_of

TEXT = (Path(__file__).resolve().parents[2] / "docs" / "degradations.md").read_text("utf-8")


def rows(text):
    """First name of each row of a table -> its last column."""
    return {line.split("`")[1]: line.rsplit("|", 2)[1].strip() for line in text.splitlines() if line.startswith("| `")}


_STEPS, _ALLOWED = TEXT.split("## Allowed values")
KEYS, LIMITS = rows(_STEPS), rows(_ALLOWED)
OURS = ["blur", "sinc_blur", "motion_blur", "defocus_blur", "gaussian_noise", "poisson_noise", "camera_noise"]
OURS += ["usm_sharpen", "resize", "resize_back", "decimate", "matlab_bicubic", "jpeg", "webp", "clip", "quantize"]


def examples(language):
    return re.findall(rf"```{language}\n(.*?)```", TEXT, re.DOTALL)


@pytest.mark.parametrize("name", STEPS)
def test_every_step_has_a_row_with_all_its_keys(name):
    described = set(re.findall("`([a-z_]+)`", KEYS[name]))

    assert described == {item.name for item in fields(STEPS[name])}


@pytest.mark.parametrize("name", OURS)
def test_the_defaults_in_the_table_are_the_true_ones(name):
    for item in fields(STEPS[name]):
        written = re.search(rf"`{item.name}`[^;`]*?(\[[-0-9., ]+\]|true|false)", KEYS[name])
        if written and item.name not in ("cutoff", "modes"):
            assert item.default is not MISSING
            default = list(item.default) if isinstance(item.default, tuple) else item.default
            assert yaml.safe_load(written[1]) == default, item.name


@pytest.mark.parametrize("name", STEPS)
def test_the_allowed_values_in_the_table_are_those_the_fields_declare(name):
    declared = [f"`{key}` {', '.join(map(str, rules))}" for key, rules in rules_of(STEPS[name]).items()]

    assert LIMITS.get(name, "") == "; ".join(declared)


def test_every_recipe_and_group_is_named():
    groups = {name for name in known_steps() if name not in STEPS}

    assert groups == {"all_of", "one_of", "shuffled", "recipe"}
    assert all(f"type: {name}" in TEXT for name in groups)
    assert {name for name in shipped_recipes() if f"`{name}`" not in TEXT} == set()


def test_the_recipe_of_the_page_works(tmp_path):
    (tmp_path / "page.yml").write_text(examples("yaml")[0], "utf-8")

    assert load_recipe(tmp_path / "page.yml").scale == 1


def test_the_python_of_the_page_works(capsys):
    use, step = examples("python")
    names: dict = {}

    exec(use, names)
    exec(step, names)

    vignette = names["Vignette"]((0.5, 0.5))
    darker = vignette(torch.ones(1, 3, 9, 9), Draw(torch.Generator(), (9, 9)))
    assert capsys.readouterr().out == "1 4 (64, 96, 4)\n"
    assert darker[0, 0, 4, 4] == 1 and darker[0, 0, 0, 0] < 0.7
