"""Validation images: a centred crop of each photo, degraded in the same way in every run."""

from pathlib import Path

import numpy as np
import pytest

from diffir.config import ValSetConfig
from diffir.data.validation_set import ValidationPair, validation_samples
from diffir.degradations.recipes import build_recipe
from diffir.errors import ConfigError, ImageError

HALF = np.repeat(np.array([[255, 0]], np.uint8), 5, axis=1).repeat(10, axis=0)
NOISE = build_recipe([{"type": "gaussian_noise", "sigma": [25, 25]}])


@pytest.fixture
def clean(photos, noise) -> Path:
    return photos("clean", {"a.png": noise(1), "sub/b.png": noise(2)})


def samples(clean: Path, recipe=NOISE, multiple_of: int = 8, scale: int = 1, **options) -> list[ValidationPair]:
    paths = {key: str(value) if isinstance(value, Path) else value for key, value in options.items()}
    return validation_samples(ValSetConfig(str(clean), **paths), recipe, multiple_of=multiple_of, scale=scale)


def test_the_middle_is_cut_to_the_size_asked_for_and_to_what_the_network_needs(clean: Path, noise) -> None:
    (sample,) = samples(clean, gt_size=20)

    assert sample.name == "a"
    assert np.array_equal(sample.gt, noise(1)[12:28, 17:33])
    assert sample.lq.shape == (16, 16, 3)
    assert sample.lq.dtype == np.float32


def test_without_a_size_the_whole_photo_is_validated_on(clean: Path) -> None:
    assert samples(clean, gt_size=None)[0].gt.shape == (40, 48, 3)


def test_damage_is_the_same_in_every_run_and_another_for_every_photo(clean: Path) -> None:
    first, again = samples(clean, recursive=True), samples(clean, recursive=True)

    assert [sample.name for sample in first] == ["a", "sub/b"]
    assert all(np.array_equal(a.lq, b.lq) for a, b in zip(first, again, strict=True))
    assert not np.allclose(*(sample.lq - sample.gt / np.float32(255) for sample in first), atol=1e-4)


def test_a_shrinking_recipe_makes_images_of_the_network_s_scale(clean: Path) -> None:
    recipe = build_recipe([{"type": "matlab_bicubic", "scale": 2}])

    assert samples(clean, recipe, scale=2)[0].lq.shape == (16, 24, 3)
    with pytest.raises(ConfigError, match="does not downscale by 4"):
        samples(clean, recipe, scale=4)


def test_pairs_are_cut_alike(photos, noise) -> None:
    small = noise(1, 20, 25)
    gt, lq = photos("gt", {"a.png": small.repeat(2, 0).repeat(2, 1)}), photos("lq", {"ax2.png": small})

    (sample,) = samples(gt, None, scale=2, dataroot_lq=lq, filename_tmpl="{}x2", gt_size=34)

    assert sample.lq.shape == (16, 16, 3)
    assert np.array_equal(sample.gt[::2, ::2], np.rint(sample.lq * 255))
    with pytest.raises(ConfigError, match=r"have scale 2, the network has 1"):
        samples(gt, None, dataroot_lq=lq, filename_tmpl="{}x2")


def test_each_photo_has_its_own_mask(clean: Path, photos) -> None:
    masks = photos("masks", {"0.png": np.zeros((9, 9), np.uint8), "1.png": HALF})

    kept, missing = samples(clean, None, recursive=True, dataroot_mask=masks)

    assert kept.lq.shape == (40, 48, 4)
    assert np.array_equal(np.rint(kept.lq[..., :3] * 255), kept.gt)
    assert np.array_equal(missing.lq[..., 3].mean(axis=0), np.repeat([1, 0], 24))
    assert not missing.lq[:, :24, :3].any()


def test_a_mask_that_covers_a_whole_validation_photo_is_refused(clean: Path, photos) -> None:
    masks = photos("masks", {"all.png": np.full((9, 9), 255, np.uint8)})

    with pytest.raises(ImageError, match=r"all\.png of dataroot_mask .* covers the whole image"):
        samples(clean, None, dataroot_mask=masks)


def test_a_recipe_that_cuts_holes_into_some_photos_only_is_refused(photos, noise) -> None:
    clean = photos("many", {f"{k:02}.png": noise(k) for k in range(20)})
    recipe = build_recipe([{"type": "boxes", "prob": 0.5}])

    with pytest.raises(
        ConfigError, match=r"channels of \d\d\.png and . of the first photo: apply a step that cuts holes always"
    ):
        samples(clean, recipe)


def test_photos_that_nothing_damages_are_refused(clean: Path) -> None:
    with pytest.raises(ConfigError, match="which decide how its photos are degraded"):
        samples(clean, None)


def test_a_photo_too_small_to_validate_on_is_named(clean: Path) -> None:
    with pytest.raises(ConfigError, match=r"a\.png is 50 x 40: too small.* 64 pixels"):
        samples(clean, multiple_of=64)
