"""Count the multiply-adds of a restoration by latent diffusion: encoding, every sampling step, decoding."""

import copy

import torch

from diffir.inference.multiply_adds import multiply_adds_of
from diffir.systems.latent.network import LatentDiffusion


def count_multiply_adds(network: LatentDiffusion, *, side: int, passes: int) -> int:
    """Number of multiply-adds for one input of side x side pixels, without the overlap of windows.

    Args:
        passes: number of calls of the denoiser.

    They are counted on a copy of the network on the meta device, where no arithmetic is done.
    """
    on_meta = copy.deepcopy(network).float().to("meta").eval()
    settings = network.settings
    lq = torch.empty(1, settings.facts.in_channels, side, side, device="meta")
    latent = settings.autoencoder.latent_channels
    noisy = torch.empty(1, latent, side // settings.latent_step, side // settings.latent_step, device="meta")
    time = torch.zeros(1, dtype=torch.int64, device="meta")

    given = on_meta.with_context(on_meta.given(lq), lq)
    around = multiply_adds_of(lambda: (on_meta.with_context(on_meta.given(lq), lq), on_meta.autoencoder.decode(noisy)))
    return around + passes * multiply_adds_of(lambda: on_meta.denoise(noisy, time, given))
