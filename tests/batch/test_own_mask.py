"""A photo may bring its mask along: its alpha, or the dust in its infrared channel."""

import numpy as np
import pytest

from diffir.batch.own_mask import take_mask
from diffir.errors import DiffIRError, ImageError
from diffir.image_io import Animation, Photo, read_image, write_image

RNG = np.random.default_rng(0)
PIXELS = RNG.integers(0, 256, (40, 40, 3), dtype=np.uint8)
INPAINT = {"in_channels": 4, "unshuffle": 1, "upsample": 1, "global_skip": "none"}


def test_what_is_not_opaque_is_missing_and_the_photo_becomes_opaque() -> None:
    alpha = np.full((40, 40), 255, np.uint8)
    alpha[5:9, 5:9], alpha[20, 20] = 0, 254

    photo, mask = take_mask(Photo(PIXELS, alpha, xmp=b"<x/>"), "alpha")

    assert np.array_equal(mask, alpha < 255)
    assert (photo.alpha, photo.xmp) == (None, b"<x/>")


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
def test_dust_is_dark_in_infrared_light_and_large_dark_parts_are_not_dust(dtype: type) -> None:
    light = np.full((120, 120), np.iinfo(dtype).max * 0.8) * RNG.uniform(0.95, 1, (120, 120))
    dust = np.zeros((120, 120), bool)
    dust[10:13, 20:24] = dust[30:50, 30] = True
    light[70:] *= 0.5  # the picture itself
    light[dust] *= 0.4
    photo = Photo(PIXELS, infrared=light.astype(dtype))

    _, mask = take_mask(photo, "infrared")

    assert np.array_equal(mask, dust)


@pytest.mark.parametrize(("kind", "message"), [("alpha", "has no alpha"), ("infrared", "has no infrared channel")])
def test_a_photo_without_the_channel_is_refused(kind, message) -> None:
    with pytest.raises(ImageError, match=message):
        take_mask(Photo(PIXELS), kind)


def test_a_file_is_filled_where_it_is_transparent(make_restorer, tmp_path) -> None:
    alpha = np.full((40, 40), 255, np.uint8)
    alpha[5:9, 5:9] = 0
    write_image(tmp_path / "a.png", Photo(PIXELS, alpha))
    restorer = make_restorer(INPAINT)

    restorer.restore_file(tmp_path / "a.png", tmp_path / "b.png", mask="alpha")

    expected = restorer.restore(PIXELS, 255 - alpha)
    assert read_image(tmp_path / "b.png").alpha is None
    assert np.array_equal(read_image(tmp_path / "b.png").pixels, expected)
    assert np.array_equal(restorer.restore(np.dstack([PIXELS, alpha]), "alpha"), expected)


def test_an_animation_needs_a_mask_file(make_restorer, tmp_path) -> None:
    write_image(tmp_path / "a.png", Animation((Photo(PIXELS), Photo(PIXELS[::-1])), (10.0, 10.0)))

    with pytest.raises(DiffIRError, match="need a mask file"):
        make_restorer(INPAINT).restore_file(tmp_path / "a.png", tmp_path / "b.png", mask="alpha")
