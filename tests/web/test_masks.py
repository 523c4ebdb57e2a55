"""What is missing in a photo on the page: painted, from a file, or as the photo says itself."""

from pathlib import Path

import numpy as np
import pytest

from diffir.errors import DiffIRError
from diffir.image_io import Photo, read_image, write_image
from diffir.web.restoring import Order, restore_photo
from diffir.web.settings import WebSettings
from diffir.web.views import painted_mask, read_mask
from diffir.web.visitors import Visitor

PIXELS = np.random.default_rng(0).integers(0, 256, (40, 40, 3), dtype=np.uint8)
FILLS_HOLES = {"in_channels": 4, "unshuffle": 1, "upsample": 1, "global_skip": "none"}
PLACE = (slice(5, 9), slice(5, 9))


@pytest.fixture
def visitor(tmp_path: Path) -> Visitor:
    return Visitor(tmp_path / "visitor", WebSettings())


def with_alpha(folder: Path, hidden: object = PLACE) -> Path:
    alpha = np.full((40, 40), 255, np.uint8)
    alpha[hidden] = 0
    write_image(folder / "alpha.png", Photo(PIXELS, alpha))
    return folder / "alpha.png"


def with_infrared(folder: Path) -> Path:
    light = np.full((40, 40), 200, np.uint8)
    light[PLACE] = 20
    write_image(folder / "scan.tif", Photo(PIXELS, infrared=light))
    return folder / "scan.tif"


# Painted, and from a file


def test_a_pixel_that_the_brush_touched_belongs_to_the_hole():
    layer = np.zeros((10, 10, 4), np.uint8)
    layer[4, 4, 3] = 7

    mask = painted_mask([layer], (20, 20))

    assert mask is not None
    assert mask.shape == (20, 20)
    assert mask[8:10, 8:10].all()
    assert set(np.unique(mask)) == {0, 255}
    assert not mask[15:].any()


def test_nothing_painted_is_no_mask():
    assert painted_mask([np.zeros((10, 10, 4), np.uint8)], (10, 10)) is None
    assert painted_mask([], (10, 10)) is None


def test_a_mask_of_another_size_is_refused(tmp_path):
    write_image(tmp_path / "mask.png", np.zeros((8, 9, 1), np.uint8))

    with pytest.raises(DiffIRError, match="the mask is 9 x 8 and the photo 10 x 10"):
        read_mask(tmp_path / "mask.png", (10, 10))


@pytest.mark.parametrize("make", [with_alpha, with_infrared])
def test_what_is_painted_is_filled_in_photos_with_alpha_or_infrared_and_those_are_kept(
    make, visitor, tmp_path, make_restorer
):
    painted = np.zeros((40, 40), np.uint8)
    painted[20:24, 20:24] = 255
    original = read_image(make(tmp_path))
    taken = visitor.add(make(tmp_path))
    taken.set_mask(painted)

    outcome = restore_photo(make_restorer(FILLS_HOLES), taken, Order("toy"), max_pixels=2_000)

    result = read_image(outcome.files[0].path)
    changed, seen = (result.pixels != original.pixels).any(axis=2), original.alpha
    assert np.array_equal(changed if seen is None else changed & (seen > 0), painted > 0)
    assert np.array_equal(result.alpha, original.alpha)
    assert np.array_equal(result.infrared, original.infrared)
    assert outcome.note == ""


# As the photo says itself


@pytest.mark.parametrize(("make", "kind"), [(with_alpha, "alpha"), (with_infrared, "infrared")])
def test_a_photo_that_says_what_is_missing_needs_no_mask(make, kind, visitor, tmp_path, make_restorer):
    restorer = make_restorer(FILLS_HOLES)
    expected = restorer.restore_file(make(tmp_path), tmp_path / f"expected{make(tmp_path).suffix}", mask=kind)

    taken = visitor.add(make(tmp_path))
    outcome = restore_photo(restorer, taken, Order("toy"), max_pixels=2_000)

    assert taken.own_mask == kind
    assert outcome.files[0].path.read_bytes() == expected.read_bytes()
    assert "filled" in outcome.note


def test_a_photo_that_is_opaque_or_without_alpha_says_nothing_of_holes(visitor, tmp_path):
    write_image(tmp_path / "plain.png", PIXELS)

    assert visitor.add(with_alpha(tmp_path, hidden=slice(0, 0))).own_mask is None
    assert visitor.add(tmp_path / "plain.png").own_mask is None


def test_networks_without_a_mask_leave_transparent_parts_transparent(visitor, tmp_path, make_restorer):
    taken = visitor.add(with_alpha(tmp_path))

    outcome = restore_photo(make_restorer(), taken, Order("toy"), max_pixels=2_000)

    assert np.array_equal(read_image(outcome.files[0].path).alpha, read_image(with_alpha(tmp_path)).alpha)
    assert "filled" not in outcome.note
