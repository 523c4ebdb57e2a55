"""Recipes: what they may contain, the errors of wrong ones, and the facts that a network must match."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor

from diffir.degradations.draw import Draw
from diffir.degradations.recipes import Recipe, build_recipe, degrade_image, degrade_pair, load_recipe, seed_for_photo
from diffir.errors import ConfigError, UsageError

DARK = {"type": "gaussian_noise", "sigma": [0, 0]}
BLUR = {"type": "blur", "sigma": [2, 2]}
NOISE = {"type": "gaussian_noise", "sigma": [10, 10]}
IMAGE = torch.rand(1, 3, 24, 24, generator=torch.Generator().manual_seed(0))


def seeded(seed=0):
    return torch.Generator().manual_seed(seed)


def changed(*steps, seeds=200):
    """Share of draws that change the image."""
    recipe = build_recipe(steps)
    return np.mean([not torch.equal(recipe(IMAGE, seeded(seed)), IMAGE) for seed in range(seeds)])


def written(folder: Path, name: str, text: str) -> Path:
    (folder / name).write_text(text, "utf-8")
    return folder / name


@pytest.mark.parametrize("prob", [0, 0.3, 1])
def test_prob_is_the_share_of_images_a_step_happens_to(prob):
    assert changed({**NOISE, "prob": prob}) == pytest.approx(prob, abs=0.1)


def test_all_of_with_prob_does_all_or_none():
    steps = [{"type": "resize_back", "scale": 2}, {"type": "resize_back", "scale": 4}]
    recipe = build_recipe([{"type": "all_of", "prob": 0.5, "steps": steps}])

    assert {recipe(IMAGE, seeded(seed)).shape[2] for seed in range(20)} == {24, 6}


def test_one_of_draws_by_weight():
    assert changed({"type": "one_of", "weights": [3, 1], "steps": [NOISE, DARK]}) == pytest.approx(0.75, abs=0.1)


def test_shuffled_does_every_step_in_every_order():
    steps = [{"type": "resize_back", "scale": 2}, {"type": "resize_back", "scale": 4}]
    recipe = build_recipe([{"type": "shuffled", "steps": steps}])

    assert {recipe(IMAGE, seeded(seed)).shape[2] for seed in range(20)} == {12, 6}


def test_the_ground_truth_is_the_image_at_the_step_that_marks_it():
    recipe = build_recipe([BLUR, {"type": "ground_truth"}, NOISE])
    blurred = build_recipe([BLUR])(IMAGE, seeded())

    lq, gt = recipe.pairs(IMAGE, seeded())

    torch.testing.assert_close(gt, blurred.clamp(0, 1), rtol=0, atol=0)
    assert not torch.equal(lq, gt)


def test_without_a_mark_the_ground_truth_is_the_clean_image():
    recipe = build_recipe([BLUR, {"type": "ground_truth", "prob": 0.5}, NOISE])
    truths = [recipe.pairs(IMAGE, seeded(seed))[1] for seed in range(20)]

    assert 0 < sum(torch.equal(truth, IMAGE) for truth in truths) < 20


@pytest.mark.parametrize("kind", [np.uint8, np.uint16])
def test_a_degraded_file_comes_with_a_ground_truth_of_its_own_type(kind):
    photo = np.random.default_rng(0).integers(0, np.iinfo(kind).max, (24, 24, 3)).astype(kind)

    _, unchanged = degrade_pair(photo, build_recipe([NOISE]), 0)
    _, softened = degrade_pair(photo, build_recipe([BLUR, {"type": "ground_truth"}]), 0)

    assert np.array_equal(unchanged, photo)
    assert softened.dtype == kind
    assert softened.std() < 0.5 * photo.std()


def test_a_smaller_image_cannot_be_marked_as_ground_truth():
    with pytest.raises(ConfigError, match=r"24 x 24; here the image has 3 channels and 12 x 12 pixels"):
        build_recipe([{"type": "resize_back", "scale": 2}, {"type": "ground_truth"}])(IMAGE, seeded())


@dataclass(frozen=True)
class DrawsMoreWhereBright:
    """A step that draws more numbers for a bright image than for a dark one."""

    def __call__(self, image: Tensor, draw: Draw) -> Tensor:
        draw.normal(int(image.mean() * 100))
        return image


@pytest.mark.parametrize("place", [0, 1, 2])
def test_an_image_does_not_depend_on_the_others_of_its_batch(place):
    recipe = Recipe((DrawsMoreWhereBright(), *load_recipe("photo").steps))
    batches = [torch.full((3, 3, 24, 24), level) for level in (0.1, 0.9)]
    for batch in batches:
        batch[place] = IMAGE[0]

    dark, bright = (recipe(batch, seeded(5))[place] for batch in batches)

    assert torch.equal(dark, bright)


def test_images_of_a_batch_are_degraded_differently():
    first, second = build_recipe([NOISE])(IMAGE.repeat(2, 1, 1, 1), seeded())

    assert not torch.equal(first, second)


def test_a_recipe_file_includes_others_and_the_outermost_scale_counts(tmp_path):
    written(tmp_path, "inner.yml", "{scale: 4, steps: [{type: matlab_bicubic}]}")
    outer = written(tmp_path, "outer.yml", "{scale: 2, summary: half, steps: [{type: recipe, name: inner.yml}]}")
    asked = {"type": "recipe", "name": str(tmp_path / "inner.yml")}

    assert (load_recipe(outer).scale, load_recipe(outer).name, load_recipe(outer).summary) == (2, "outer", "half")
    assert build_recipe([asked]).scale == 4
    assert build_recipe([{**asked, "scale": 3}]).scale == 3


def test_a_step_that_names_its_scale_keeps_it(tmp_path):
    assert load_recipe(written(tmp_path, "a.yml", "{scale: 4, steps: [{type: resize_back, scale: 2}]}")).scale == 2


@pytest.mark.parametrize(
    ("steps", "scale", "channels"),
    [([NOISE], 1, 3), ([{"type": "matlab_bicubic", "scale": 3}], 3, 3), ([NOISE, {"type": "boxes"}], 1, 4)],
)
def test_scale_and_channels_are_found_by_trial(steps, scale, channels):
    recipe = build_recipe(steps)

    assert (recipe.scale, recipe.channels) == (scale, channels)


@pytest.mark.parametrize(
    ("steps", "message"),
    [
        ([{"type": "resize", "scale": [0.5, 1.5]}], "one whole number; end with resize_back"),
        ([{"type": "matlab_bicubic", "scale": 5}], "one whole number"),
        ([{"type": "resize_back", "scale": 2, "prob": 0.5}], "makes 24 x 48 with 3 channels or 48 x 96"),
        ([{"type": "boxes", "prob": 0.5}], "3 channels or .* with 4 channels"),
        ([BLUR, {"type": "boxes"}, NOISE, BLUR], "step 3 changes the mask .* steps that cut holes come last"),
        ([{"type": "boxes"}, {"type": "jpeg", "quality": [50, 50]}], "step 2: jpeg takes 3 .* cut holes come last"),
    ],
)
def test_a_recipe_that_no_network_fits_is_an_error_of_one_line(steps, message):
    with pytest.raises(ConfigError, match=message):
        _ = build_recipe(steps).scale


@pytest.mark.parametrize(
    ("steps", "message"),
    [
        ([], "a recipe needs a list of at least one step"),
        (["blur"], "step 1: a degradation is .type: NAME"),
        ([BLUR, {"sigma": [1, 2]}], "step 2: a degradation is .type: NAME"),
        ([BLUR, {"type": "blurr"}], "step 2: unknown degradation 'blurr'; did you mean 'blur'"),
        ([{"type": "xxx"}], "unknown degradation 'xxx'; known: all_of"),
        ([{"type": "all_of"}], "step 1 needs a list of at least one step, got None"),
        (
            [{"type": "all_of", "steps": [BLUR, {"type": "jpeg"}]}],
            "step 1, step 2 .jpeg.: the key 'quality' is missing",
        ),
        ([{**BLUR, "prob": 2}], r"step 1 \(blur\): prob must lie in \[0, 1\], got 2"),
        ([{**BLUR, "prob": "often"}], r"step 1 \(blur\): prob: expected float, got 'often'"),
        ([{**BLUR, "prob": float("nan")}], "prob must lie in"),
        (
            [{"type": "one_of", "steps": [BLUR], "weights": [1, 2]}],
            "weights must be 1 numbers, one for each step, got 2",
        ),
        ([{"type": "one_of", "steps": [BLUR], "weights": [0]}], "weights must hold one number above 0"),
        ([{"type": "one_of", "steps": [BLUR], "weights": [float("nan")]}], "weights must be numbers of 0 or more"),
        ([{"type": "recipe"}], "'name' is missing"),
        ([BLUR, {"type": "recipe", "name": "foto"}], r"degradation: step 2 \(recipe\): no recipe 'foto'.*'photo'\?"),
        ([{"type": "gaussian_noise", "sigma": 25}], r"sigma: expected a list such as \[25, 25\], got 25"),
    ],
)
def test_a_wrong_step_is_one_line_that_says_where_it_is(steps, message):
    with pytest.raises(ConfigError, match=message) as caught:
        build_recipe(steps)

    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("{steps: [{type: blur, sigm: [1, 2]}]}", r"a.yml: step 1 \(blur\): unknown key 'sigm'; did you mean 'sigma'"),
        ("{steps: [{type: recipe, name: a.yml}]}", "cannot include itself: a -> a"),
        ("{steps: [{type: all_of, steps: [{type: recipe, name: b.yml}]}]}", "cannot include itself: a -> b -> a"),
        ("steps: &again [{type: all_of, steps: *again}]", "contains itself"),
        ("{steps: [], step: 1}", "unknown key 'step'; did you mean 'steps'"),
        ("{steps: []}", "at least one step"),
        ("{scale: 0, steps: [{type: clip}]}", "scale must be 1 or more"),
        ("{steps: [{type: clip}, {type: recipe, name: foto}]}", r"a.yml: step 2 .*did you mean 'photo'"),
        ("{steps: [{type: blur, sigma: [1, 2], sigma: [1, 3]}]}", "a.yml: the key 'sigma' is given twice"),
        ("steps: [", "is not YAML"),
        ("just words", "expected keys and values"),
    ],
)
def test_a_wrong_recipe_file_is_one_line_that_names_it(tmp_path, text, message):
    written(tmp_path, "b.yml", "{steps: [{type: recipe, name: a.yml}]}")

    with pytest.raises(ConfigError, match=message) as caught:
        load_recipe(written(tmp_path, "a.yml", text))

    assert "a.yml" in str(caught.value) and "\n" not in str(caught.value)


def test_the_error_for_a_compressed_mask_names_the_file_and_the_step(tmp_path):
    recipe = load_recipe(written(tmp_path, "a.yml", "steps: [{type: half}, {type: webp, quality: [50, 50]}]"))

    with pytest.raises(ConfigError, match=r"a\.yml: step 2: webp takes 3 channels"):
        _ = recipe.channels


def test_the_error_for_an_unknown_recipe_names_the_shipped_ones():
    with pytest.raises(UsageError, match=r"no recipe 'foto': neither shipped \(.*photo.*\) nor a file"):
        load_recipe("foto")


def test_one_seed_is_one_image_and_its_type_does_not_matter():
    pixels = np.random.default_rng(0).integers(0, 256, (24, 30, 3)).astype(np.uint8)
    recipe = build_recipe([{"type": "gaussian_noise", "sigma": [30, 30]}])

    result = degrade_image(pixels, recipe, 3)

    assert result.shape == (24, 30, 3) and result.dtype == np.float32 and result.max() > 1
    assert np.array_equal(result, degrade_image((pixels / np.float32(255)), recipe, 3))
    assert not np.array_equal(result, degrade_image(pixels, recipe, 4))


def test_a_photos_seed_depends_on_its_name_and_the_common_seed_alone():
    assert seed_for_photo("a", 1) == seed_for_photo("a", 1)
    assert len({seed_for_photo(name, seed) for name in ("a", "b", "a b") for seed in (0, 1, 2)}) == 9
