"""Training losses that any network can use: pixel losses, adversarial losses with discriminators, perceptual loss."""

from diffir.losses.pixel import grid_l1, masked_l1, pixel_l1

__all__ = ["grid_l1", "masked_l1", "pixel_l1"]
