"""Photos with transparency and animations, restored whole."""

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
import torch

from diffir.batch.events import Settings
from diffir.batch.restore_photos import restore_animation, restore_photos
from diffir.image_io import Animation, Pages, Photo
from diffir.inference.restorer import Restorer

MakeRestorer = Callable[..., Restorer]


def random_photo(seed: int, channels: int = 3, dtype: type = np.uint8, **carried: object) -> Photo:
    pixels = np.random.default_rng(seed).integers(0, np.iinfo(dtype).max, (16, 24, channels)).astype(dtype)
    return Photo(pixels, **carried)


def float_photo(seed: int) -> Photo:
    """A float photo, in which no difference between priors is lost by rounding."""
    return Photo(np.random.default_rng(seed).random((16, 24, 3), dtype=np.float32))


def test_what_transparent_pixels_hide_does_not_show(make_restorer: MakeRestorer) -> None:
    alpha = np.full((16, 24), 255, np.uint8)
    alpha[:, 12:] = 0
    photo = random_photo(0, alpha=alpha)
    painted = replace(photo, pixels=np.where(alpha[:, :, None] == 0, 255, photo.pixels).astype(np.uint8))

    (one, _), (other, _) = (restore_photos(make_restorer(), [p], None, Settings())[0] for p in (photo, painted))

    assert not np.array_equal(photo.pixels, painted.pixels)
    assert np.array_equal(one.pixels, other.pixels)
    assert np.array_equal(one.alpha, alpha)


def test_progress_of_a_photo_with_opacity_rises_to_one(make_restorer: MakeRestorer) -> None:
    calls: list[float] = []
    restorer = make_restorer({"unshuffle": 1, "upsample": 4, "global_skip": "nearest"})

    restore_photos(
        restorer, [random_photo(0, alpha=random_photo(1).pixels[:, :, 0])], None, Settings(), on_progress=calls.append
    )

    assert calls == sorted(calls)
    assert calls[-1] == pytest.approx(1)
    assert 0.5 in calls


@pytest.mark.parametrize("batch_size", [1, 2, 8])
def test_frames_come_out_as_they_would_alone(make_restorer: MakeRestorer, batch_size: int) -> None:
    opacity = random_photo(9).pixels[:, :, 0]
    frames = (random_photo(0, exif=b"x"), random_photo(1), random_photo(2, alpha=opacity), random_photo(3, channels=1))
    animation = Animation(frames, (10.0, 20.0, 30.0, 40.0), loop=3)
    restorer = make_restorer()

    restored, _ = restore_animation(restorer, animation, None, Settings(batch_size=batch_size))

    assert (restored.durations_ms, restored.loop) == (animation.durations_ms, 3)
    assert restored.frames[0].exif == b"x"
    for frame, expected in zip(restored.frames, frames, strict=True):
        assert np.array_equal(frame.pixels, restore_photos(restorer, [expected], None, Settings())[0][0].pixels)


def test_a_shared_prior_is_that_of_the_first_frame(make_restorer: MakeRestorer) -> None:
    frames = (float_photo(0), float_photo(1))
    restorer = make_restorer()
    prior = restorer.estimate_prior_of(frames[0].pixels)

    restored, kept = restore_animation(
        restorer, Animation(frames, (1.0, 1.0), 0), None, Settings(share_prior=True), keep_prior=True
    )

    assert kept is not None
    assert torch.equal(kept, prior)
    assert np.array_equal(restored.frames[1].pixels, restorer.restore(frames[1].pixels, prior=prior))
    assert not np.array_equal(restored.frames[1].pixels, restorer.restore(frames[1].pixels))


def test_keeping_priors_changes_nothing_but_giving_one_does(make_restorer: MakeRestorer) -> None:
    photos, restorer = [float_photo(0), float_photo(1)], make_restorer()
    plain = restore_photos(restorer, photos, None, Settings())
    kept = restore_photos(restorer, photos, None, Settings(), keep_prior=True)
    assert kept[0][1] is not None

    given = restore_photos(restorer, photos, None, Settings(prior=kept[0][1] + 1))

    for (expected, _), (same, prior), (other, _) in zip(plain, kept, given, strict=True):
        assert prior is not None
        assert np.allclose(same.pixels, expected.pixels, atol=1e-5)
        assert not np.allclose(other.pixels, expected.pixels, atol=1e-5)


def test_keeping_priors_leaves_a_self_ensemble_as_it_is(make_restorer: MakeRestorer) -> None:
    photos, restorer = [float_photo(0)], make_restorer(tta=True)

    ((plain, _),) = restore_photos(restorer, photos, None, Settings())
    ((kept, prior),) = restore_photos(restorer, photos, None, Settings(), keep_prior=True)

    assert prior is not None
    assert np.array_equal(plain.pixels, kept.pixels)


def test_at_strength_0_even_hidden_colours_stay(make_restorer: MakeRestorer) -> None:
    alpha = np.eye(16, 24, dtype=np.uint8)

    ((same, _),) = restore_photos(make_restorer(strength=0), [random_photo(0, alpha=alpha)], None, Settings())

    assert np.array_equal(same.pixels, random_photo(0).pixels)


def test_pages_are_restored_one_by_one_and_infrared_is_enlarged_with_its_photo(make_restorer):
    restorer = make_restorer({"unshuffle": 1, "upsample": 2, "global_skip": "nearest"})
    rng = np.random.default_rng(0)
    large, small = (rng.integers(0, 256, shape, dtype=np.uint8) for shape in ((20, 30, 3), (9, 12, 1)))
    pages = Pages((Photo(large, infrared=np.full((20, 30), 7, np.uint8)), Photo(small, xmp=b"<x/>")))

    restored, _ = restore_animation(restorer, pages, None, Settings(batch_size=4))

    first, second = restored.frames
    assert np.array_equal(first.pixels, restorer.restore(large))
    assert np.array_equal(second.pixels, restorer.restore(small))
    assert second.xmp == b"<x/>"
    assert np.array_equal(first.infrared, np.full((40, 60), 7, np.uint8))
