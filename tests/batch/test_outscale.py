"""A result may have any size: the network enlarges by its own factor, and the rest is resampled."""

import numpy as np
import pytest

from diffir.batch.events import Settings
from diffir.batch.outscale import resized, size_at
from diffir.batch.restore_photos import restore_animation, restore_photos
from diffir.image_io import Animation, Photo, read_image, write_image

PIXELS = np.random.default_rng(0).integers(0, 256, (20, 30, 3), dtype=np.uint8)
TWICE = {"unshuffle": 1, "upsample": 2, "global_skip": "nearest"}


@pytest.mark.parametrize(("factor", "size"), [(2, (40, 60)), (1.5, (30, 45)), (0.33, (7, 10)), (0.001, (1, 1))])
def test_pixels_alpha_and_infrared_get_the_same_size(make_restorer, factor, size) -> None:
    photo = Photo(PIXELS, PIXELS[:, :, 0], infrared=PIXELS[:, :, 1], xmp=b"<x/>")

    ((restored, _),) = restore_photos(make_restorer(TWICE), [photo], None, Settings(outscale=factor))

    assert restored.pixels.shape == (*size, 3)
    assert restored.alpha.shape == restored.infrared.shape == size == size_at(20, 30, factor)
    assert restored.xmp == b"<x/>"


def test_the_networks_own_factor_changes_nothing(make_restorer) -> None:
    restorer = make_restorer(TWICE)

    ((restored, _),) = restore_photos(restorer, [Photo(PIXELS)], None, Settings(outscale=2))

    assert np.array_equal(restored.pixels, restorer.restore(PIXELS))


def test_photos_together_and_frames_are_resized_too(make_restorer) -> None:
    restorer, settings = make_restorer(), Settings(outscale=0.5)
    photos = [Photo(PIXELS), Photo(PIXELS[::-1])]

    together = restore_photos(restorer, photos, None, settings)
    frames, _ = restore_animation(restorer, Animation(tuple(photos), (9.0, 9.0)), None, settings)

    sizes = [photo.pixels.shape for photo in (*(photo for photo, _ in together), *frames.frames)]
    assert sizes == [(10, 15, 3)] * 4


def test_grey_stays_grey_and_floats_stay_in_range() -> None:
    edge = np.zeros((8, 8, 1), np.float32)
    edge[:, 4:] = 1

    enlarged = resized(Photo(edge), 24, 24).pixels
    grey = resized(Photo(np.repeat(PIXELS[:, :, :1], 3, axis=2)), 33, 44).pixels

    assert enlarged.shape == (24, 24, 1)
    assert (enlarged.min(), enlarged.max()) == (0, 1)
    assert np.ptp(grey, axis=2).max() == 0


def test_a_file_is_written_at_that_size(make_restorer, tmp_path) -> None:
    write_image(tmp_path / "a.png", PIXELS)

    make_restorer().restore_file(tmp_path / "a.png", tmp_path / "b.png", outscale=3)

    assert read_image(tmp_path / "b.png").pixels.shape == (60, 90, 3)
