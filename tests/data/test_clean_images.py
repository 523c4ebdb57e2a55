"""Training samples, damage included, are a function of the seed and of their number alone."""

from collections import Counter

import cv2
import numpy as np
import pytest
import torch

from diffir.config import PhotosConfig
from diffir.data.batch_plan import PatchRequest
from diffir.data.clean_images import DamagedPatches, find_photos, read_rgb
from diffir.degradations.recipes import build_recipe
from diffir.errors import ConfigError


@pytest.fixture
def folder(tmp_path):
    for value in range(5):  # a photo is known by its grey
        cv2.imwrite(str(tmp_path / f"{value}.png"), np.full((40, 50, 3), 50 * value, np.uint8))
    return tmp_path


def patches(folder, **changes) -> DamagedPatches:
    arguments = {"seed": (0, 1), "hflip": True, "rotate": True, "cache_images": False, **changes}
    recipe = build_recipe([{"type": "gaussian_noise", "sigma": [0, 55]}])
    return DamagedPatches(find_photos(PhotosConfig(str(folder))), recipe, **arguments)


def test_a_patch_is_float_rgb_in_unit_range(folder):
    patch = patches(folder)[PatchRequest(0, 16)].gt

    assert patch.shape == (3, 16, 16)
    assert patch.dtype == torch.float32
    assert 0 <= patch.min() <= patch.max() <= 1


def test_every_photo_is_used_once_before_any_is_used_again(folder):
    dataset = patches(folder)

    seen = [round(dataset[PatchRequest(index, 8)].gt.mean().item() * 255) for index in range(10)]

    assert Counter(seen[:5]) == Counter(seen[5:]) == Counter([0, 50, 100, 150, 200])


def test_a_sample_does_not_depend_on_what_was_read_before(tmp_path):
    noise = np.random.default_rng(0).integers(0, 256, (40, 50, 3)).astype(np.uint8)
    cv2.imwrite(str(tmp_path / "noise.png"), noise)

    first = [patches(tmp_path)[PatchRequest(index, 16)] for index in range(6)]
    again = patches(tmp_path, cache_images=True)

    for index in (5, 2):
        assert torch.equal(again[PatchRequest(index, 16)].gt, first[index].gt)
        assert torch.equal(again[PatchRequest(index, 16)].lq, first[index].lq)
    assert not torch.equal(first[2].gt, first[5].gt)


def test_another_seed_gives_other_samples(tmp_path):
    cv2.imwrite(str(tmp_path / "n.png"), np.random.default_rng(0).integers(0, 256, (40, 50, 3)).astype(np.uint8))

    first, other = (patches(tmp_path, seed=seed)[PatchRequest(0, 16)] for seed in ((0, 1), (0, 2)))

    assert not torch.equal(first.gt, other.gt)
    assert not torch.equal(first.lq - first.gt, other.lq - other.gt)


def test_a_photo_smaller_than_the_patch_is_mirrored_to_size(folder):
    assert patches(folder)[PatchRequest(0, 64)].gt.shape == (3, 64, 64)


def test_a_list_names_the_photos_to_use(folder):
    (folder / "list.txt").write_text("# two of five\n1.png\n\n3.png (40,50,3)\n", "utf-8")

    listed = find_photos(PhotosConfig(str(folder), str(folder / "list.txt")))

    assert [photo.name for photo in listed] == ["1.png", "3.png"]


def test_missing_photos_are_named(folder, tmp_path):
    (folder / "list.txt").write_text("9.png\n", "utf-8")

    with pytest.raises(ConfigError, match=r"9\.png, which does not exist"):
        find_photos(PhotosConfig(str(folder), str(folder / "list.txt")))
    with pytest.raises(ConfigError, match="is not a folder"):
        find_photos(PhotosConfig(str(tmp_path / "absent")))


def test_grey_and_16_bit_photos_become_8_bit_rgb(tmp_path):
    cv2.imwrite(str(tmp_path / "grey.png"), np.full((8, 8), 77, np.uint8))
    cv2.imwrite(str(tmp_path / "deep.png"), np.full((8, 8, 3), 65535, np.uint16))

    assert np.array_equal(read_rgb(tmp_path / "grey.png"), np.full((8, 8, 3), 77, np.uint8))
    assert np.array_equal(read_rgb(tmp_path / "deep.png"), np.full((8, 8, 3), 255, np.uint8))


def test_raw_files_beside_their_jpegs_are_not_photos_to_learn_from(folder):
    (folder / "a.dng").write_bytes(b"II*\0")

    found = find_photos(PhotosConfig(str(folder)))

    assert found
    assert all(photo.suffix != ".dng" for photo in found)
