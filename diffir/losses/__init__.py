"""Losses: of pixels, of the prior, of a discriminator's verdict, of the features of networks that have seen much."""

from diffir.losses.pixel import masked_l1, pixel_l1
from diffir.systems.diffir.prior_losses import prior_divergence, prior_l1

__all__ = ["masked_l1", "pixel_l1", "prior_divergence", "prior_l1"]
