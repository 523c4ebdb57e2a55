"""Contact sheets show unchanged pixels, tinted holes and legible captions."""

import numpy as np

from diffir.degradations.preview import Picture, contact_sheet, preview_sheet
from diffir.degradations.recipes import build_recipe, degrade_image, seed_for_photo
from diffir.pixels import to_kind

PHOTO = np.random.default_rng(0).integers(0, 256, (40, 60, 3)).astype(np.uint8)


def holds(sheet, image):
    windows = np.lib.stride_tricks.sliding_window_view(sheet, image.shape[:2], axis=(0, 1))
    return (windows == image.transpose(2, 0, 1)[None, None]).all(axis=(2, 3, 4)).any()


def test_pictures_are_shown_at_their_own_pixels():
    assert holds(contact_sheet([[Picture(PHOTO, "a"), Picture(PHOTO, "b")]]), PHOTO)


def test_of_a_large_photo_the_middle_is_shown():
    sheet = contact_sheet([[Picture(PHOTO, "a")]], cell=20)

    assert holds(sheet, PHOTO[10:30, 20:40]) and sheet.shape[1] < 40


def test_a_small_image_is_blown_up_to_the_size_of_the_clean_one():
    sheet = contact_sheet([[Picture(PHOTO, "clean"), Picture(PHOTO[:10, :15], "lq", enlarged=4)]])

    assert holds(sheet, PHOTO[:10, :15].repeat(4, axis=0).repeat(4, axis=1))


def test_holes_are_tinted_and_the_rest_is_not():
    mask = np.zeros((40, 60, 1), np.uint8)
    mask[:, 30:] = 255

    sheet = contact_sheet([[Picture(np.concatenate([PHOTO, mask], axis=2), "lq")]])

    hole = sheet[8:48, 38:68].astype(int)
    assert holds(sheet, PHOTO[:, :30])
    assert (hole[..., 0] - hole[..., 1]).mean() > 100


def test_a_caption_is_written_below_and_never_over_its_neighbour():
    bare, named, long = (
        contact_sheet([[Picture(PHOTO, caption), Picture(PHOTO, "")]]) for caption in ("", "name", "n" * 99)
    )

    assert holds(named, PHOTO) and (named[48:] != bare[48:]).any()
    assert np.array_equal(long[:, 76:], bare[:, 76:]) and (long[48:] != named[48:]).any()


def test_a_preview_shows_what_the_recipe_makes_of_each_photo():
    recipe = build_recipe([{"type": "gaussian_noise", "sigma": [20, 20]}])

    sheet = preview_sheet({"one": PHOTO, "two": PHOTO[:, :40]}, recipe, seed=3, draws=2)

    for name, photo in (("one", PHOTO), ("two", PHOTO[:, :40])):
        for seed in (3, 4):
            assert holds(sheet, to_kind(degrade_image(photo, recipe, seed_for_photo(name, seed)), np.uint8))
