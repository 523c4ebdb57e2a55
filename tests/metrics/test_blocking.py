"""PSNR-B equals PSNR without block artefacts, and is lower with them."""

import numpy as np
import pytest

from diffir.errors import ImageError
from diffir.metrics.blocking import blocking_effect, psnr_b
from diffir.metrics.fidelity import psnr


def ramp(height: int = 32, width: int = 40) -> np.ndarray:
    rows, columns = np.mgrid[0:height, 0:width]
    return (rows + columns).astype(float)[:, :, None]


def blocks(step: float) -> np.ndarray:
    """Return a checkerboard of 8 x 8 blocks with two grey levels."""
    return np.kron(np.indices((4, 5)).sum(axis=0) % 2, np.ones((8, 8)))[:, :, None] * step + 100


def test_without_blocking_it_is_psnr():
    assert psnr_b(ramp() + 3, ramp()) == pytest.approx(psnr(ramp() + 3, ramp()))


def test_blocking_of_a_hand_counted_image():
    image = np.zeros((16, 16))
    image[:, 8:] = 8

    # 16 steps of 8^2 among 32 between blocks, none inside; weight log2(8) / log2(16)
    assert blocking_effect(image) == pytest.approx(16 * 64 / 32 * 3 / 4)


def test_the_steeper_the_blocks_the_lower():
    clean = np.full((32, 40, 1), 100.0)
    scores = [psnr_b(blocks(step), clean) for step in (1, 4, 16)]
    gaps = [psnr(blocks(step), clean) - score for step, score in zip((1, 4, 16), scores, strict=True)]

    assert scores == sorted(scores, reverse=True)
    assert gaps == pytest.approx([gaps[0]] * 3)  # error and blocking grow alike
    assert gaps[0] > 1


def test_blocks_of_the_ground_truth_do_not_count():
    assert psnr_b(ramp(), blocks(16)) == pytest.approx(psnr(ramp(), blocks(16)))


def test_steps_beside_the_grid_are_no_blocking():
    shifted = np.roll(blocks(16), (4, 4), axis=(0, 1))[..., 0]

    assert blocking_effect(shifted) == 0


def test_colours_are_scored_one_by_one_and_averaged():
    restored, gt = np.concatenate([blocks(4), ramp() + 3], axis=2), np.concatenate([ramp(), ramp()], axis=2)

    parts = [psnr_b(restored[..., c : c + 1], gt[..., c : c + 1]) for c in range(2)]
    assert psnr_b(restored, gt) == pytest.approx(np.mean(parts))


def test_less_than_two_blocks_are_refused():
    with pytest.raises(ImageError, match="needs 16 x 16 pixels inside the border, got 40 x 15"):
        psnr_b(ramp(15), ramp(15))
