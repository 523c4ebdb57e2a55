"""Tests of samples with thumbnails: patch and thumbnails show one photo under one draw of the recipe."""

from pathlib import Path

import numpy as np
import pytest
import torch
from torch.utils.data import Dataset

from diffir.config import TrainSetConfig
from diffir.data.batch_plan import BatchPlan, PatchRequest, PatchSize
from diffir.data.batches import load_batches
from diffir.data.whole_views import draw_view, open_whole_views
from diffir.errors import ConfigError
from diffir.image_io import write_image
from diffir.system import ThumbnailPair

DARKER = ({"type": "low_light", "stops": [1, 4], "electrons": [1e6, 1e6], "read": [0, 0], "cast": 0.0},)


@pytest.fixture
def clean(tmp_path: Path) -> Path:
    """Three grey photos of one brightness each, so that a patch and a thumbnail of one photo have one colour."""
    for number, level in enumerate((90, 150, 210)):
        write_image(tmp_path / "clean" / f"{number}.png", np.full((48, 64, 3), level, np.uint8))
    return tmp_path / "clean"


@pytest.fixture
def views(clean: Path) -> Dataset[ThumbnailPair]:
    return open_whole_views(TrainSetConfig(str(clean), degradation=DARKER, view_size=32), 8, seed=(0, 1))


def test_one_draw_of_the_recipe_degrades_patch_and_thumbnail(views: Dataset[ThumbnailPair]) -> None:
    loss_of_light = set()
    for index in range(6):
        lq, gt, lq_thumbnail, gt_thumbnail = views[PatchRequest(index, 16)]

        assert lq.shape == gt.shape == (3, 16, 16)
        assert lq_thumbnail.shape == gt_thumbnail.shape == (3, 8, 8)
        assert torch.allclose(gt.mean(), gt_thumbnail.mean(), atol=1e-4)
        assert torch.allclose(lq.mean(), lq_thumbnail.mean(), atol=4e-3)  # photons
        loss_of_light.add(round(float(lq.mean() / gt.mean()), 3))

    assert len(loss_of_light) == 6


def test_size_0_makes_thumbnails_alone(views: Dataset[ThumbnailPair]) -> None:
    alone, beside = views[PatchRequest(2, 0)], views[PatchRequest(2, 16)]

    assert alone.lq.shape == alone.gt.shape == (3, 0, 0)
    assert torch.equal(alone.lq_thumbnail, beside.lq_thumbnail)
    assert torch.equal(alone.gt_thumbnail, beside.gt_thumbnail)


def test_batches_hold_patches_and_thumbnails(views: Dataset[ThumbnailPair]) -> None:
    (batch,) = load_batches(views, BatchPlan([PatchSize(1, 16, 2)]), workers=0, pin_memory=False)

    assert isinstance(batch, ThumbnailPair)
    assert [tuple(images.shape) for images in batch] == [(2, 3, 16, 16)] * 2 + [(2, 3, 8, 8)] * 2


def test_pairs_from_disk_are_shrunk_whole(tmp_path: Path) -> None:
    photo = np.random.default_rng(0).integers(0, 256, (64, 32, 3), dtype=np.uint8)
    write_image(tmp_path / "gt" / "a.png", photo)
    write_image(tmp_path / "lq" / "a.png", photo[::2, ::2] // 2)
    config = TrainSetConfig(str(tmp_path / "gt"), dataroot_lq=str(tmp_path / "lq"), use_hflip=False, use_rot=False)

    sample = open_whole_views(config, 8, seed=(0, 1))[PatchRequest(0, 16)]

    expected = photo.reshape(16, 4, 16, 2, 3).mean(axis=(1, 3)).transpose(2, 0, 1) / 255
    assert sample.lq.shape == (3, 8, 8)
    assert sample.lq_thumbnail.shape == (3, 8, 8)
    assert np.allclose(sample.gt_thumbnail.numpy(), expected, atol=1e-6)


def test_a_view_covers_from_its_own_size_to_the_whole_shorter_side() -> None:
    ramp = np.repeat(np.arange(200, dtype=np.uint8)[:, None, None], 300, axis=1).repeat(3, axis=2)

    covered = [np.ptp(draw_view(np.random.default_rng(seed), ramp, 50)[:, 0, 0].astype(int)) for seed in range(60)]

    assert all(draw_view(np.random.default_rng(seed), ramp, 50).shape == (50, 50, 3) for seed in range(3))
    assert min(covered) < 60
    assert max(covered) > 180


def test_a_photo_smaller_than_the_view_is_mirrored() -> None:
    assert draw_view(np.random.default_rng(0), np.zeros((20, 90, 3), np.uint8), 50).shape == (50, 50, 3)


def test_masks_and_teachers_are_refused(clean: Path) -> None:
    with pytest.raises(ConfigError, match="take no mask"):
        open_whole_views(TrainSetConfig(str(clean), dataroot_mask=str(clean)), 8, seed=(0,))


def test_a_patch_larger_than_the_view_is_refused(views: Dataset[ThumbnailPair]) -> None:
    with pytest.raises(ConfigError, match="a patch of 40 pixels is larger"):
        views[PatchRequest(0, 40)]
