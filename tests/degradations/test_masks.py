"""Masks: 1 is missing, a mask never covers everything, holes only grow, and the image is 0 in holes."""

import numpy as np
import pytest
import torch

from diffir.degradations.draw import Draw
from diffir.degradations.holes import cut_out
from diffir.degradations.masks import Boxes, Half, Lines, MaskFolder, Outpaint
from diffir.degradations.shapes.strokes import Strokes
from diffir.errors import ConfigError, ImageError
from diffir.image_io import Photo, write_image

THIN = Strokes(count=(4, 50), length=(10, 50), width=(5, 15), largest_share=0.5)
STEPS = [Strokes(), THIN, Boxes(), Half(), Outpaint(), Lines(kept=("rows", "columns", "pixels"))]
SIZES = [(1, 1), (1, 9), (2, 2), (300, 40), (64, 64)]


def drawn(seed=0):
    return Draw(torch.Generator().manual_seed(seed), (64, 64))


def photo(height=64, width=64):
    return 0.1 + 0.9 * torch.rand(1, 3, height, width, generator=torch.Generator().manual_seed(9))


def folder_with(path, pixels):
    write_image(path / "mask.png", Photo(pixels))
    return str(path)


@pytest.mark.parametrize("size", SIZES, ids=str)
@pytest.mark.parametrize("step", STEPS, ids=repr)
def test_a_mask_is_0_or_1_and_never_everything(step, size):
    for seed in range(20):
        mask = step.mask(size, drawn(seed))

        assert mask.shape == (1, 1, *size)
        assert set(mask.unique().tolist()) <= {0.0, 1.0}
        assert mask.mean() < 1


@pytest.mark.parametrize("step", STEPS, ids=repr)
def test_the_image_is_zero_where_missing_and_itself_elsewhere(step):
    result = step(photo(), drawn())
    rgb, mask = result[:, :3], result[:, 3:]

    assert mask.any()
    assert torch.equal(rgb, torch.where(mask == 1, torch.zeros(1), photo()))


@pytest.mark.parametrize("step", STEPS, ids=repr)
def test_holes_that_are_there_stay_and_never_become_everything(step):
    once = Strokes()(photo(), drawn(1))

    for seed in range(8):
        twice = step(once, drawn(seed))
        assert (twice[:, 3] >= once[:, 3]).all()
        assert twice[:, 3].mean() < 1
        assert (twice[:, :3] * twice[:, 3:] == 0).all()


def test_two_halves_that_leave_nothing_leave_the_first():
    left = Half(sides=("left",))(photo(), drawn())

    both = Half(sides=("right",))(left, drawn())

    assert torch.equal(both, left)


@pytest.mark.parametrize("largest", [0.1, 0.3])
@pytest.mark.parametrize("cls", [Strokes, Boxes])
def test_the_missing_share_stays_below_the_largest(cls, largest):
    shares = [cls(count=(30, 30), largest_share=largest).mask((64, 64), drawn(i)).mean().item() for i in range(10)]

    assert 0 < max(shares) <= largest


@pytest.mark.parametrize("step", [Strokes(), THIN, Boxes()], ids=repr)
def test_masks_scale_with_the_side_of_the_image(step):
    small, large = (np.mean([step.mask(s, drawn(i)).mean() for i in range(25)]) for s in ((64, 64), (256, 256)))

    assert small == pytest.approx(large, rel=0.2)


def test_boxes_keep_their_margin_and_their_size():
    mask = Boxes(count=(1, 1), box_size=(20, 20), margin=10).mask((256, 256), drawn())[0, 0]

    assert mask.sum() == 400
    assert mask[10:-10, 10:-10].sum() == 400


@pytest.mark.parametrize(("side", "place"), [("left", (5, 0)), ("right", (5, 8)), ("top", (0, 5)), ("bottom", (8, 5))])
def test_the_half_that_is_named_is_missing(side, place):
    mask = Half(sides=(side,)).mask((9, 9), drawn())[0, 0]

    assert mask[place] == 1
    assert mask.sum() == 4 * 9


def test_outpainting_keeps_one_box_of_the_size_it_says():
    mask = Outpaint(kept=(0.25, 0.25), centred=True).mask((64, 32), drawn())[0, 0]

    assert (1 - mask).sum() == 16 * 8
    assert (mask[24:40, 12:20] == 0).all()


@pytest.mark.parametrize(("kept", "share"), [("rows", 3 / 4), ("columns", 3 / 4), ("pixels", 15 / 16)])
def test_of_four_lines_three_are_missing(kept, share):
    mask = Lines(every=(4, 4), kept=(kept,)).mask((16, 16), drawn())

    assert mask.mean() == share
    assert mask[0, 0, 0, 0] == 0


@pytest.mark.parametrize("invert", [False, True])
def test_white_of_a_mask_image_is_missing_unless_it_is_inverted(tmp_path, invert):
    pixels = np.zeros((8, 8, 1), dtype=np.uint8)
    pixels[:4] = 255
    step = MaskFolder(folder_with(tmp_path, pixels), invert=invert, flips=False)

    mask = step.mask((32, 16), drawn())[0, 0]

    assert (mask[:16] == (0 if invert else 1)).all()
    assert (mask[16:] == (1 if invert else 0)).all()


def test_masks_of_a_folder_are_flipped_both_ways(tmp_path):
    pixels = np.zeros((8, 8, 1), dtype=np.uint8)
    pixels[:4, :4] = 255
    step = MaskFolder(folder_with(tmp_path, pixels))

    corners = {tuple(step.mask((8, 8), drawn(i))[0, 0].nonzero()[0].tolist()) for i in range(30)}

    assert corners == {(0, 0), (0, 4), (4, 0), (4, 4)}


def test_a_mask_image_that_covers_everything_is_refused(tmp_path):
    step = MaskFolder(folder_with(tmp_path, np.full((8, 8, 1), 255, dtype=np.uint8)))

    with pytest.raises(ImageError, match="covers the whole image"):
        step.mask((8, 8), drawn())


def test_a_folder_without_masks_is_refused(tmp_path):
    for folder in (tmp_path, tmp_path / "missing"):
        with pytest.raises(ConfigError, match="no images in"):
            MaskFolder(str(folder))


def test_a_mask_needs_three_or_four_channels():
    with pytest.raises(ConfigError, match="got 1"):
        cut_out(torch.zeros(1, 1, 8, 8), torch.zeros(1, 1, 8, 8))


@pytest.mark.parametrize(
    ("cls", "settings", "named"),
    [
        (Strokes, {"count": (0, 1)}, "count"),
        (Strokes, {"largest_share": 1.0}, "largest_share"),
        (Boxes, {"box_size": (9, 3)}, "box_size"),
        (Half, {"sides": ()}, "sides"),
        (Outpaint, {"kept": (0.5, 1.5)}, "kept"),
        (Lines, {"every": (1, 2)}, "every"),
    ],
)
def test_a_value_out_of_range_is_refused_by_name(cls, settings, named):
    with pytest.raises(ConfigError, match=f"^{named} must"):
        cls(**settings)
