"""The split of photos, after which validation shares no scene with training."""

import cv2
import numpy as np
import pytest

from diffir.data.holdout import PIECE, hold_out
from diffir.errors import ConfigError
from diffir.image_io import list_images, read_image


def photo(seed: int, height: int = 160, width: int = 200) -> np.ndarray:
    """A photo of smooth random colours, different for every seed."""
    coarse = np.random.default_rng(seed).integers(0, 256, (6, 6, 3)).astype(np.uint8)
    return cv2.resize(coarse, (width, height), interpolation=cv2.INTER_CUBIC)


@pytest.fixture
def photos(tmp_path):
    folder = tmp_path / "photos"
    (folder / "deeper").mkdir(parents=True)
    for seed in range(8):
        cv2.imwrite(str(folder / ("deeper" if seed % 2 else "") / f"{seed}.png"), photo(seed))
    return folder


def test_every_photo_is_on_one_side(photos, tmp_path):
    split = hold_out(photos, tmp_path / "pieces", seed=0)

    assert sorted(split.training + split.validation) == [f"{seed}.png" for seed in range(8)]
    assert len(split.validation) == len(list_images(tmp_path / "pieces/val")) == 2
    assert len(list_images(tmp_path / "pieces/train")) == 6


def test_the_split_depends_on_the_seed_only(photos, tmp_path):
    splits = [hold_out(photos, tmp_path / str(n), seed=seed).validation for n, seed in enumerate((1, 1, 2))]

    assert splits[0] == splits[1] != splits[2]


def test_a_copy_of_a_photo_is_left_out(photos, tmp_path):
    cv2.imwrite(str(photos / "copy.bmp"), photo(0))

    split = hold_out(photos, tmp_path / "pieces", seed=0)

    assert len(split.left_out) == 1
    assert len(split.training + split.validation) == 8


def test_photos_of_one_scene_stay_together(photos, tmp_path):
    for seed in range(8):  # a second, slightly darker shot of each
        cv2.imwrite(str(photos / f"{seed}_again.jpg"), (photo(seed) * 0.97).astype(np.uint8))

    split = hold_out(photos, tmp_path / "pieces", seed=0)

    scenes = [{name[0] for name in side} for side in (split.training, split.validation)]
    assert not scenes[0] & scenes[1]


def test_a_large_photo_is_cut_into_pieces(photos, tmp_path):
    cv2.imwrite(str(photos / "large.png"), photo(99, 1200, 1600))

    hold_out(photos, tmp_path / "pieces", seed=3)

    sides = [read_image(path).pixels.shape for path in (tmp_path / "pieces").rglob("*large.png")]
    assert sides and set(sides) == {(PIECE, PIECE, 3)}


def test_corrupt_and_tiny_files_are_left_out_and_named(photos, tmp_path, caplog):
    (photos / "broken.png").write_bytes(b"\x89PNG")
    cv2.imwrite(str(photos / "tiny.png"), photo(0, 20, 20))

    split = hold_out(photos, tmp_path / "pieces", seed=0)

    assert sorted(split.left_out) == ["broken.png", "tiny.png"]
    assert "tiny.png is left out: 20 x 20 is too small" in caplog.text


@pytest.fixture
def few(tmp_path):
    (tmp_path / "few").mkdir()
    return tmp_path / "few"


def test_too_few_photos_are_one_clear_error(few, tmp_path):
    cv2.imwrite(str(few / "only.png"), photo(0))

    with pytest.raises(ConfigError, match="holds 1 usable photos; at least 4 are needed"):
        hold_out(few, tmp_path / "pieces", seed=0)


def test_one_scene_alone_cannot_be_split(few, tmp_path):
    for shot in range(5):
        cv2.imwrite(str(few / f"{shot}.png"), (photo(0) * (1 - 0.01 * shot)).astype(np.uint8))

    with pytest.raises(ConfigError, match="show one scene"):
        hold_out(few, tmp_path / "pieces", seed=0)


def test_a_second_split_leaves_nothing_of_the_first(photos, tmp_path):
    hold_out(photos, tmp_path / "pieces", seed=1)
    hold_out(photos, tmp_path / "pieces", seed=2)

    names = [path.stem.split("_")[-1] for path in (tmp_path / "pieces").rglob("*.png")]
    assert sorted(names) == [str(seed) for seed in range(8)]


def test_pieces_are_not_put_among_the_photos(photos):
    with pytest.raises(ConfigError, match="lies inside"):
        hold_out(photos, photos / "run/photos", seed=0)
