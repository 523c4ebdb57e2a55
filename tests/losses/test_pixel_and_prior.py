"""L1 between images, and the losses between priors: their values, and which side gets gradients."""

import torch

from diffir.losses import grid_l1, pixel_l1
from diffir.systems.diffir.prior_losses import prior_divergence, prior_l1


def test_pixel_l1_is_the_mean_absolute_difference_in_float32():
    restored, gt = torch.zeros(1, 3, 4, 4, dtype=torch.bfloat16), torch.full((1, 3, 4, 4), 0.3)

    loss = pixel_l1(restored, gt)

    assert loss.dtype == torch.float32
    assert torch.isclose(loss, torch.tensor(0.3))


def test_a_grid_is_what_is_the_same_in_every_period_and_not_everywhere():
    target = torch.rand(2, 3, 64, 96)
    grid = torch.zeros(4, 4)
    grid[1::2] = 0.02

    of_grid = grid_l1(target + grid.repeat(16, 24), target, 4)

    torch.testing.assert_close(of_grid, torch.tensor(0.01))
    assert grid_l1(target + 0.1, target, 4) < 1e-6
    assert grid_l1(target + 0.02 * torch.randn_like(target), target, 4) < 0.25 * of_grid
    assert torch.isfinite(grid_l1(target[..., :4, :8], target[..., :4, :8], 4))


def test_only_the_estimate_gets_gradients_from_the_prior_loss():
    estimate, oracle = torch.zeros(2, 8, requires_grad=True), torch.ones(2, 8, requires_grad=True)

    prior_l1(estimate, oracle).backward()

    assert estimate.grad is not None and estimate.grad.abs().sum() > 0
    assert oracle.grad is None


def test_the_divergence_is_zero_for_equal_priors_and_grows_with_distance():
    oracle = torch.randn(4, 32, generator=torch.Generator().manual_seed(0))

    same, near, far = (prior_divergence(oracle + shift * oracle.flip(1), oracle) for shift in (0.0, 0.1, 1.0))

    assert torch.isclose(same, torch.tensor(0.0), atol=1e-6)
    assert 0 < near < far
