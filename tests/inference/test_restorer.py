"""Tests of ``Restorer``: photos of any size and data type keep their type, and every photo has its own prior."""

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from diffir.api import load, restorer_of
from diffir.errors import ImageError, UsageError
from diffir.inference.restorer import Restorer
from diffir.systems.diffir import DiffIR
from diffir.systems.diffir.tasks import get_task
from tests.diffir_objects import card_of, save_weights

MakeRestorer = Callable[..., Restorer]
INPAINT = {"in_channels": 4, "unshuffle": 1, "upsample": 1, "global_skip": "none"}


def photo(*shape: int) -> np.ndarray:
    return np.random.default_rng(0).random(shape, dtype=np.float32)


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16, np.float16, np.float32, np.float64])
@pytest.mark.parametrize("shape", [(32, 48, 3), (17, 5, 3), (1, 1, 3), (20, 30, 1), (20, 30)])
def test_what_comes_out_is_of_the_kind_that_went_in(
    make_restorer: MakeRestorer, dtype: type, shape: tuple[int, ...]
) -> None:
    white = 1 if np.issubdtype(dtype, np.floating) else np.iinfo(dtype).max

    restored = make_restorer().restore((photo(*shape) * white).astype(dtype))

    assert restored.shape == shape
    assert restored.dtype == dtype


@pytest.mark.parametrize("options", [{}, {"strength": 0.5}, {"tta": True}])
def test_a_grey_photo_that_is_stored_as_rgb_stays_grey_and_its_neighbours_in_a_batch_do_not(
    make_restorer: MakeRestorer, options: dict
) -> None:
    grey, colourful = np.repeat(photo(20, 30, 1), 3, axis=2), photo(20, 30, 3)
    restorer = make_restorer(**options)

    restored, other = restorer.restore_batch([grey, colourful])

    assert np.ptp(restored, axis=2).max() == 0
    assert np.allclose(restored[:, :, :1], restorer.restore(grey[:, :, :1]), atol=1e-5)
    assert np.allclose(restored, restorer.restore(grey), atol=1e-5)
    assert np.allclose(other, restorer.restore(colourful), atol=1e-5)
    assert np.ptp(other, axis=2).max() > 0


def test_depths_agree_about_the_same_photo(make_restorer: MakeRestorer) -> None:
    image = np.rint(photo(32, 32, 3) * 255).astype(np.uint8)
    restorer = make_restorer()

    eight, sixteen = restorer.restore(image), restorer.restore(image.astype(np.uint16) * 257)
    real = restorer.restore(image / np.float32(255))

    assert np.array_equal(eight, np.rint(real * 255))
    assert np.array_equal(sixteen, np.rint(real * np.float32(65535)))


def test_noise_outside_the_range_reaches_the_network_and_the_result_is_clipped(make_restorer: MakeRestorer) -> None:
    noisy = photo(32, 32, 3) * 3 - 1
    restorer = make_restorer()

    restored = restorer.restore(noisy)

    assert not np.array_equal(restored, restorer.restore(noisy.clip(0, 1)))
    assert restored.min() == 0
    assert restored.max() == 1


def test_a_network_that_enlarges_enlarges_odd_sizes(make_restorer: MakeRestorer) -> None:
    restorer = make_restorer({"unshuffle": 1, "upsample": 4, "global_skip": "nearest"})

    assert restorer.scale == 4
    assert restorer.restore(photo(9, 14, 3)).shape == (36, 56, 3)


def test_a_photo_depends_neither_on_its_batch_nor_on_earlier_photos(make_restorer: MakeRestorer) -> None:
    restorer = make_restorer()
    batch = torch.rand(2, 3, 16, 16)

    together = restorer.restore_tensor(batch)
    alone = torch.cat([restorer.restore_tensor(lq[None]) for lq in batch])

    torch.testing.assert_close(together, alone, atol=1e-6, rtol=0)


def test_the_seed_decides_the_prior(make_restorer: MakeRestorer) -> None:
    lq = torch.rand(1, 3, 32, 32)

    first, again, other = (make_restorer(seed=seed).estimate_prior(lq) for seed in (1, 1, 2))

    assert torch.equal(first, again)
    assert not torch.equal(first, other)


def test_all_tiles_get_the_prior_of_the_whole_photo(make_restorer: MakeRestorer) -> None:
    lq = torch.rand(1, 3, 32, 64)
    restorer = make_restorer(tile=32, tile_overlap=0, stats="tile")

    tiled = restorer.restore_tensor(lq)

    prior = restorer.estimate_prior(lq)
    parts = [restorer.restore_tensor(part.contiguous(), prior=prior) for part in lq.chunk(2, dim=3)]
    torch.testing.assert_close(tiled, torch.cat(parts, dim=3), atol=1e-6, rtol=0)
    assert make_restorer().restore_tensor(lq).sub(tiled).abs().max() > 1e-6


@pytest.mark.parametrize("stats", ["tile", "global", "local"])
def test_a_photo_that_is_not_cut_needs_no_tiles_to_agree(make_restorer: MakeRestorer, stats: str) -> None:
    lq = torch.rand(1, 3, 64, 64)
    whole, one_tile = (make_restorer(stats=stats, patch=32, tile=tile).restore_tensor(lq) for tile in (-1, 64))

    assert torch.equal(whole, one_tile)


def test_global_statistics_bring_tiles_nearer_to_the_whole(make_restorer: MakeRestorer) -> None:
    lq = torch.cat([torch.rand(1, 3, 64, 32), torch.rand(1, 3, 64, 32) / 9], dim=3)
    whole = make_restorer().restore_tensor(lq)

    errors = {
        stats: make_restorer(stats=stats, tile=32, tile_overlap=8).restore_tensor(lq).sub(whole).abs().mean()
        for stats in ("tile", "global")
    }

    assert errors["global"] < errors["tile"]


def test_local_statistics_see_nothing_beyond_their_windows(make_restorer: MakeRestorer) -> None:
    restorer = make_restorer(stats="local", patch=16)
    prior, lq = torch.ones(1, 32), torch.rand(1, 3, 16, 1024)
    other = torch.cat([lq[..., :960], torch.rand(1, 3, 16, 64)], dim=3)

    difference = (restorer.restore_tensor(lq, prior=prior) - restorer.restore_tensor(other, prior=prior)).abs()

    assert difference[..., :64].max() == 0
    assert difference[..., 960:].max() > 0.01


def test_local_statistics_without_a_patch_are_wrong_usage(make_restorer: MakeRestorer) -> None:
    with pytest.raises(UsageError, match="need the patch size"):
        make_restorer(stats="local")


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16, np.float32])
def test_strength_0_is_the_input_and_1_the_restored_photo(make_restorer: MakeRestorer, dtype: type) -> None:
    image = (photo(21, 30, 3) * (1 if dtype == np.float32 else np.iinfo(dtype).max)).astype(dtype)

    none, half, full = (make_restorer(strength=strength).restore(image) for strength in (0, 0.5, 1))

    assert np.array_equal(none, image)
    assert np.array_equal(full, make_restorer().restore(image))
    between = (np.float64(image) + np.float64(full)) / 2
    np.testing.assert_allclose(half, between, atol=0.76 if dtype != np.float32 else 1e-6)


def test_strength_0_of_a_network_that_enlarges_is_bicubic(make_restorer: MakeRestorer) -> None:
    lq = torch.rand(1, 3, 19, 21)

    enlarged = make_restorer({"unshuffle": 1, "upsample": 4, "global_skip": "nearest"}, strength=0).restore_tensor(lq)

    torch.testing.assert_close(enlarged, F.interpolate(lq, scale_factor=4, mode="bicubic"), atol=1e-6, rtol=0)


@pytest.mark.parametrize("strength", [-0.1, 1.5, float("nan")])
def test_a_strength_outside_0_to_1_is_wrong_usage(make_restorer: MakeRestorer, strength: float) -> None:
    with pytest.raises(UsageError, match="strength must be from 0"):
        make_restorer(strength=strength)


@pytest.mark.parametrize("scale", [1, 2])
def test_a_self_ensemble_turns_with_the_photo(make_restorer: MakeRestorer, scale: int) -> None:
    restorer = make_restorer({"unshuffle": 2 // scale, "upsample": 2, "global_skip": "nearest"}, tta=True)
    image = photo(19, 26, 3)

    upright, turned = restorer.restore(image), restorer.restore(np.rot90(image)[:, ::-1])

    assert upright.shape == (19 * scale, 26 * scale, 3)
    np.testing.assert_allclose(np.rot90(upright)[:, ::-1], turned, atol=2e-6)


def test_photos_of_a_batch_come_out_as_they_would_alone(make_restorer: MakeRestorer) -> None:
    images = [photo(20, 24, 3), 1 - photo(20, 24, 3)]
    restorer = make_restorer()

    for together, image in zip(restorer.restore_batch(images), images, strict=True):
        np.testing.assert_allclose(together, restorer.restore(image), atol=1e-6)


def test_a_batch_of_different_photos_is_wrong_usage(make_restorer: MakeRestorer) -> None:
    with pytest.raises(UsageError, match="the same shape and data type"):
        make_restorer().restore_batch([photo(8, 8, 3), photo(8, 9, 3)])


def test_a_ramp_of_16_bit_keeps_more_than_256_levels(make_restorer: MakeRestorer) -> None:
    ramp = np.linspace(20_000, 40_000, 64 * 64).reshape(64, 64, 1).repeat(3, 2).astype(np.uint16)

    assert len(np.unique(make_restorer().restore(ramp))) > 1000


def test_the_tile_in_use_is_told(make_restorer: MakeRestorer) -> None:
    restorer = make_restorer(tile=40)

    restorer.restore(photo(64, 64, 3))
    cut = restorer.last_tile
    restorer.restore(photo(32, 32, 3))

    assert (cut, restorer.last_tile) == (48, None)


def test_a_tile_raised_to_make_room_for_the_overlap_is_told_as_it_is(make_restorer: MakeRestorer) -> None:
    restorer = make_restorer(tile=16, tile_overlap=8)

    restorer.restore(photo(64, 64, 3))

    assert restorer.last_tile == 32


@pytest.mark.parametrize("seed", [-1, 2**63, 99999999999999999999])
def test_a_seed_that_torch_cannot_take_is_wrong_usage(make_restorer: MakeRestorer, seed: int) -> None:
    with pytest.raises(UsageError, match=f"seed must be from 0 to .*, got {seed}"):
        make_restorer(seed=seed)


@pytest.mark.parametrize("shape", [(1, 7), (2, 64), (64,)])
def test_a_prior_of_another_shape_is_wrong_usage(make_restorer: MakeRestorer, shape: tuple[int, ...]) -> None:
    width = get_task("denoise_tiny").arch.prior_width

    with pytest.raises(UsageError, match=rf"toy takes a prior of shape \(1, {width}\), got"):
        make_restorer().restore(photo(16, 16, 3), prior=torch.zeros(shape))


@pytest.mark.parametrize("fill", ["zeros", "membrane"])
def test_inpainting_fills_the_holes_and_keeps_the_rest(make_restorer: MakeRestorer, fill: str) -> None:
    image, mask = np.rint(photo(21, 30, 3) * 255).astype(np.uint8), np.zeros((21, 30), bool)
    mask[5:12, 8:20] = True
    restorer = make_restorer(INPAINT | {"hole_fill": fill})

    restored = restorer.restore(image, mask)

    assert np.array_equal(restored[~mask], image[~mask])
    image[mask] = 0  # pixels in the holes must have no effect
    assert np.array_equal(restored, restorer.restore(image, mask.astype(np.uint8)))


@pytest.mark.parametrize("fill", ["zeros", "membrane"])
def test_a_restorer_shows_holes_to_the_network_as_its_training_did(make_restorer: MakeRestorer, fill: str) -> None:
    restorer = make_restorer(INPAINT | {"hole_fill": fill})
    image, mask = torch.rand(2, 3, 32, 48), torch.zeros(2, 1, 32, 48)
    mask[0, :, 5:20, 8:30] = mask[1, :, 10:12] = 1
    lq, noise = torch.cat([image * (1 - mask), mask], dim=1), restorer.engine.start_noise(0).expand(2, -1)

    restored = restorer.restore_tensor(image, mask)

    expected = torch.where(mask > 0, restorer.engine.network(lq, noise=noise), image)
    torch.testing.assert_close(restored, expected, atol=1e-5, rtol=0)


@pytest.mark.parametrize(
    ("arch", "mask", "error", "message"),
    [
        (INPAINT, None, UsageError, "needs a mask"),
        (INPAINT, np.ones((4, 4)), ImageError, "the mask is 4 x 4 but the image is 16 x 8"),
        (None, np.ones((8, 16)), UsageError, "takes no mask"),
    ],
)
def test_a_mask_that_does_not_fit_is_an_error(
    make_restorer: MakeRestorer, arch: dict | None, mask: np.ndarray | None, error: type, message: str
) -> None:
    with pytest.raises(error, match=message):
        make_restorer(arch).restore(photo(8, 16, 3), mask)


@pytest.mark.parametrize(
    ("image", "message"),
    [
        (photo(8, 8, 5), "1 to 4 channels"),
        (photo(0, 8, 3), "not 0 x 8 x 3"),
        (np.zeros((8, 8, 3), np.int32), "not int32"),
        (np.full((8, 8, 3), np.nan), "NaN"),
    ],
)
def test_what_is_no_image_is_refused(make_restorer: MakeRestorer, image: np.ndarray, message: str) -> None:
    with pytest.raises(ImageError, match=message):
        make_restorer().restore(image)


def test_a_network_of_stage_1_is_refused() -> None:
    with pytest.raises(UsageError, match="stage-2"):
        restorer_of(DiffIR(get_task("denoise_tiny").arch, stage=1))


@pytest.mark.parametrize(
    ("channels", "task", "training", "stats"),
    [
        (3, None, {"train_set": {"gt_size": 64}}, "local"),
        (3, "denoise_small", {"train_set": {"gt_size": 64}}, "local"),
        (3, "photo_small", {"train_set": {"gt_size": 64}}, "global"),
        (3, "derain_small", {"train_set": {"gt_size": 64}}, "global"),
        (4, None, {"train_set": {"gt_size": 64}}, "global"),
        (3, None, "told in words", "global"),
    ],
)
def test_windows_are_for_weights_that_tell_their_patches_and_need_no_whole(tmp_path, channels, task, training, stats):
    settings = replace(get_task("denoise_tiny").arch, in_channels=channels)
    card = card_of("mine", settings, task=task, training=training)
    save_weights(tmp_path / "mine.safetensors", DiffIR(settings).state_dict(), card)

    assert load(tmp_path / "mine.safetensors", device="cpu").in_use()["stats"] == stats
