"""Masks may grow with a soft seam, and textures that are tiled keep edges that meet."""

import numpy as np
import pytest
import torch

from diffir.errors import UsageError
from diffir.inference.mask_seam import seam_weights

INPAINT = {"in_channels": 4, "unshuffle": 1, "upsample": 1, "global_skip": "none"}
RNG = np.random.default_rng(0)
IMAGE = RNG.integers(0, 256, (64, 64, 3), dtype=np.uint8)
HOLE = np.zeros((64, 64), np.uint8)
HOLE[30:34, 20:40] = 9


def test_weights_fall_from_the_hole_over_the_margin() -> None:
    weights = seam_weights(HOLE, 3)

    assert weights[25:39, 30].tolist() == pytest.approx([0, 0, 0.25, 0.5, 0.75, 1, 1, 1, 1, 0.75, 0.5, 0.25, 0, 0])
    assert seam_weights(HOLE, 0).dtype == bool


def test_the_margin_is_a_blend_and_pixels_beyond_it_are_kept(make_restorer) -> None:
    grown = seam_weights(HOLE, 4)[:, :, None]

    restored = make_restorer(INPAINT, mask_grow=4).restore(IMAGE, HOLE)
    replaced = make_restorer(INPAINT).restore(IMAGE, (grown[:, :, 0] > 0).astype(np.uint8))

    assert np.array_equal(restored[grown[:, :, 0] == 0], IMAGE[grown[:, :, 0] == 0])
    assert np.array_equal(restored[HOLE > 0], replaced[HOLE > 0])
    blend = IMAGE + grown * (replaced.astype(float) - IMAGE)
    assert np.abs(restored - blend).max() <= 1  # both are rounded


def test_tensors_get_the_same_margin(make_restorer) -> None:
    restorer = make_restorer(INPAINT, mask_grow=4)
    lq, mask = torch.from_numpy(IMAGE / np.float32(255)).permute(2, 0, 1)[None], torch.from_numpy(HOLE)[None, None]

    restored = restorer.restore_tensor(lq, mask)[0].permute(1, 2, 0).clamp(0, 1).numpy()

    # Tensors are not clipped, so their blend differs where the network overshoots.
    is_margin = (seam_weights(HOLE, 4) % 1) > 0
    difference = np.abs(restored - restorer.restore(IMAGE, HOLE) / 255).max(axis=2)
    assert difference[~is_margin].max() < 0.003
    assert (np.abs(restored - IMAGE / 255).max(axis=2)[is_margin] > 0).all()


@pytest.mark.parametrize("arch", [{}, {"unshuffle": 1, "upsample": 2, "global_skip": "nearest"}])
def test_a_seamless_texture_is_restored_as_the_middle_of_many(make_restorer, arch) -> None:
    many = make_restorer(arch).restore(np.tile(IMAGE, (3, 3, 1)))
    side = many.shape[0] // 3

    seamless = make_restorer(arch, seamless=True).restore(IMAGE)

    assert np.array_equal(seamless, many[side : 2 * side, side : 2 * side])


@pytest.mark.parametrize("shape", [(3, 5, 3), (70, 200), (1, 1, 1)])
def test_seamless_takes_every_size(make_restorer, shape) -> None:
    image = RNG.random(shape, dtype=np.float32)

    assert make_restorer(seamless=True).restore(image).shape == shape


def test_holes_of_a_seamless_texture_are_filled(make_restorer) -> None:
    restored = make_restorer(INPAINT, seamless=True).restore(IMAGE, HOLE)

    assert np.array_equal(restored[HOLE == 0], IMAGE[HOLE == 0])
    assert not np.array_equal(restored[HOLE > 0], IMAGE[HOLE > 0])


@pytest.mark.parametrize("grow", [-1, 1001])
def test_a_margin_out_of_range_is_refused(make_restorer, grow) -> None:
    with pytest.raises(UsageError, match="mask_grow must be from 0 to 1000 pixels"):
        make_restorer(mask_grow=grow)
