"""Adversarial losses of generator and discriminator, the R1 penalty, feature matching, and L1 with a mask."""

import pytest
import torch
import torch.nn.functional as F

from diffir.losses import masked_l1, pixel_l1
from diffir.losses.adversarial import discriminator_loss, feature_matching, generator_loss, r1_penalty

LOGITS = torch.linspace(-20, 20, 32).view(2, 1, 4, 4)


def test_the_losses_are_binary_cross_entropy_on_logits():
    ones, zeros = torch.ones_like(LOGITS), torch.zeros_like(LOGITS)

    of_real, of_fake = discriminator_loss(LOGITS, LOGITS)

    torch.testing.assert_close(of_real, F.binary_cross_entropy_with_logits(LOGITS, ones))
    torch.testing.assert_close(of_fake, F.binary_cross_entropy_with_logits(LOGITS, zeros))
    assert generator_loss(LOGITS) == of_real


@pytest.mark.parametrize(("mask", "is_like"), [(1.0, "fake"), (0.0, "real")])
def test_a_restored_image_is_fake_inside_the_hole_and_real_outside(mask, is_like):
    holes = torch.full((2, 1, 16, 16), mask)

    _, found = discriminator_loss(LOGITS, LOGITS + 1, holes)

    as_real, as_fake = discriminator_loss(LOGITS + 1, LOGITS + 1)
    torch.testing.assert_close(found, {"real": as_real, "fake": as_fake}[is_like])


def test_r1_of_a_linear_discriminator_is_the_squared_norm_of_its_weights():
    weights = torch.randn(3, 8, 8)
    images = torch.rand(5, 3, 8, 8, requires_grad=True)

    penalty = r1_penalty((images * weights).sum(dim=(1, 2, 3)), images)

    torch.testing.assert_close(penalty, weights.square().sum())


def test_feature_matching_averages_over_maps_and_teaches_the_restored_side_alone():
    fake, real = (
        [torch.full((1, 2, 4, 4), v, requires_grad=True) for v in values] for values in ((0.0, 3.0), (2.0, 3.0))
    )

    loss = feature_matching(fake, real)
    loss.backward()

    assert loss == 2.0
    assert fake[0].grad is not None and real[0].grad is None


def test_masked_l1_weighs_known_and_missing_pixels_on_their_own():
    restored, gt = torch.rand(2, 3, 8, 8), torch.rand(2, 3, 8, 8)
    mask = torch.zeros(2, 1, 8, 8)
    mask[:, :, :4] = 1

    known = masked_l1(restored, gt, mask, known_weight=10, hole_weight=0)
    whole = masked_l1(restored, gt, mask, known_weight=1, hole_weight=1)

    torch.testing.assert_close(known, 10 * pixel_l1(restored[:, :, 4:], gt[:, :, 4:]) / 2)
    torch.testing.assert_close(whole, pixel_l1(restored, gt))
