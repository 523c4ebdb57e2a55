"""Laws of every step of weather, age and masks: shape, type, finite values, repeatability, limits of the fields."""

from dataclasses import MISSING, fields
from typing import get_type_hints

import pytest
import torch

from diffir.degradations.draw import Draw
from diffir.degradations.recipe_file import read_recipe
from diffir.degradations.recipes import build_recipe
from diffir.degradations.steps import STEPS
from diffir.errors import ConfigError
from diffir.field_ranges import Within, rules_of

WEATHER = ["rain", "snow", "haze", "low_light", "backlight"]
AGE = ["fading", "stains", "scratches", "dust", "folds"]
MASKS = ["strokes", "boxes", "half", "outpaint", "lines"]
RECIPES = [
    "rain",
    "haze",
    "snow",
    "low_light",
    "backlight",
    "old_photo",
    "inpaint_thin",
    "inpaint_medium",
    "inpaint_wide",
]
SIZES = [(1, 1), (1, 40), (2, 3), (300, 7), (33, 64)]


def seeded(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def photo(height=32, width=40, dtype=torch.float32):
    return torch.rand(1, 3, height, width, generator=seeded(9)).to(dtype)


def step(name):
    return build_recipe([{"type": name}]).steps[0]


def damaged(name, image, seed=0):
    return step(name)(image, Draw(seeded(seed), tuple(image.shape[2:])))


@pytest.mark.parametrize("size", SIZES, ids=str)
@pytest.mark.parametrize("name", WEATHER + AGE + MASKS)
def test_a_photo_of_any_size_keeps_its_size(name, size):
    result = damaged(name, photo(*size))

    assert result.shape == (1, 4 if name in MASKS else 3, *size)
    assert result.isfinite().all()


@pytest.mark.parametrize("name", WEATHER + AGE + MASKS)
def test_one_seed_is_one_result_and_another_seed_another(name):
    results = [damaged(name, photo(), seed) for seed in (1, 1, 2, 3, 4)]

    assert torch.equal(results[0], results[1])
    assert not all(torch.equal(results[0], other) for other in results[2:])


@pytest.mark.parametrize("name", WEATHER + AGE + MASKS)
def test_the_callers_image_and_its_type_stay(name):
    image = photo(dtype=torch.float64)
    before = image.clone()

    result = damaged(name, image)

    assert result.dtype == torch.float64
    assert torch.equal(image, before)


@pytest.mark.parametrize("name", RECIPES)
def test_a_shipped_recipe_has_a_summary_and_degrades_a_batch(name):
    recipe = read_recipe(name)
    images = photo().repeat(6, 1, 1, 1)

    lq = build_recipe(recipe.steps)(images, seeded())

    assert recipe.summary
    assert lq.shape == (6, 4 if "inpaint" in name else 3, 32, 40)
    assert not torch.equal(lq[0, :3], lq[1, :3])
    assert (lq[:, :3] - images).abs().max() > 0.05


LIMITED = [
    (cls, name, rule)
    for cls in STEPS.values()
    for name, rules in rules_of(cls).items()
    for rule in rules
    if isinstance(rule, Within)
]
REQUIRED = {"sigma": (1, 2), "scale": (0.5, 2), "length": (5, 9), "radius": (1, 2), "quality": (50, 60)}


@pytest.mark.parametrize(("cls", "name", "rule"), LIMITED, ids=lambda value: getattr(value, "__name__", str(value)))
def test_a_step_made_in_python_keeps_to_the_limits_of_its_fields(cls, name, rule):
    required = {item.name: REQUIRED[item.name] for item in fields(cls) if not has_default(item)}
    is_pair = "tuple" in str(get_type_hints(cls)[name])

    for value in (rule.lowest - 0.01, rule.highest + 0.01):
        with pytest.raises(ConfigError, match=f"^{name} must"):
            cls(**{**required, name: (value, value) if is_pair else value})


def has_default(item):
    return item.default is not MISSING or item.default_factory is not MISSING
