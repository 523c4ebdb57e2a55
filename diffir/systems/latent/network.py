"""Latent diffusion as one network: the autoencoder, the denoiser, and what the denoiser sees of the damaged photo.

In: low-quality images (B, C, h, w) in [0, 1], with the mask as fourth channel for networks that fill holes. The
autoencoder works on images in [-1, 1]. Source: Rombach et al., CVPR 2022, sections 3 and 4.4; diffusing the difference
from the latent of the enlarged or filled input is ours.
"""

from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from diffir.systems.latent.autoencoder import Autoencoder
from diffir.systems.latent.context_encoder import ContextEncoder
from diffir.systems.latent.schedule import Predicted, Schedule
from diffir.systems.latent.settings import LatentSettings
from diffir.systems.latent.unet import UNet

RESCALE_HALVINGS = 2  # of label maps, before they are concatenated


class Given(NamedTuple):
    """What is known of a batch of photos before sampling, at the resolution of the latent."""

    concat: Tensor
    """(B, C, h, w), concatenated to the noisy latent; C may be 0."""
    base: Tensor | None
    """Latent of the enlarged or filled input (B, Z, h, w) for networks that diffuse the difference from it."""
    context: Tensor | None
    """Vectors for cross-attention (B, N, D)."""


class LabelRescaler(nn.Module):
    """Label maps (B, K, H, W) -> (B, Z, H / 4, W / 4): two bilinear halvings, then a 1 x 1 convolution."""

    def __init__(self, labels: int, channels: int) -> None:
        super().__init__()
        self.channel_mapper = nn.Conv2d(labels, channels, 1, bias=False)

    def forward(self, maps: Tensor) -> Tensor:
        for _ in range(RESCALE_HALVINGS):
            maps = F.interpolate(maps, scale_factor=0.5, mode="bilinear")
        return self.channel_mapper(maps)


class LatentDiffusion(nn.Module):
    """Everything that restoring needs.

    Attributes:
        latent_scale: (Z,) factors by which latents, or their differences, are multiplied before diffusion.
    """

    latent_scale: Tensor

    def __init__(self, settings: LatentSettings) -> None:
        super().__init__()
        self.settings = settings
        self.schedule = Schedule(settings.diffusion)
        latent = settings.autoencoder.latent_channels
        self.autoencoder = Autoencoder(settings.autoencoder)
        self.denoiser = UNet(settings.denoiser, latent + settings.condition_channels, latent)
        if settings.labels:
            self.labels = LabelRescaler(settings.labels, latent)
        if settings.context == "image":
            self.context_encoder = ContextEncoder(settings.facts.in_channels, settings.denoiser.context_channels)
        self.register_buffer("latent_scale", torch.ones(latent))

    @torch.no_grad()
    def given(self, lq: Tensor, latent: Tensor | None = None) -> Given:
        """What the denoiser sees of low-quality images (B, C, h, w); label maps (B, K, H, W) for ``labels``.

        The context of cross-attention is left out here, because its encoder is trained; ``with_context`` adds it.

        Args:
            latent: result of ``latent_of_input``, if it is there already.
        """
        settings, parts = self.settings, []
        if latent is None and self.reads_latent:
            latent = self.latent_of_input(lq)
        for name in settings.condition:
            if name == "image":
                parts.append(2 * lq[:, :3] - 1)
            elif name == "latent" and latent is not None:
                parts.append(latent)
            elif name == "mask":
                parts.append(2 * F.interpolate(lq[:, 3:], scale_factor=1 / settings.autoencoder.factor) - 1)
            elif name == "mask_pixels":
                parts.append(F.pixel_unshuffle(lq[:, 3:], settings.autoencoder.factor))
        if not parts:
            step = settings.latent_step
            parts.append(lq.new_zeros(len(lq), 0, lq.shape[2] // step, lq.shape[3] // step))
        return Given(torch.cat(parts, dim=1), latent if settings.diffusion.residual else None, None)

    def with_context(self, given: Given, lq: Tensor) -> Given:
        """Add what trained encoders make of the input: vectors for cross-attention, and rescaled label maps."""
        if self.settings.labels:
            given = given._replace(concat=self.labels(lq))
        if self.settings.context == "image":
            given = given._replace(context=self.context_encoder(lq))
        return given

    @property
    def has_encoder(self) -> bool:
        """True if an encoder that is trained with the denoiser reads the input."""
        return self.settings.labels > 0 or self.settings.context == "image"

    @property
    def reads_latent(self) -> bool:
        """True if the enlarged or filled input is encoded before sampling."""
        return self.settings.diffusion.residual or "latent" in self.settings.condition

    def latent_of_input(self, lq: Tensor) -> Tensor:
        """Latent (B, Z, h / step, w / step) of the input, enlarged to the size of the output."""
        return self.autoencoder.encode(2 * self.enlarged(lq) - 1)

    def enlarged(self, lq: Tensor) -> Tensor:
        """The input as an image of the output's size: (B, 3, scale h, scale w) in [0, 1]."""
        image, scale = lq[:, :3], self.settings.scale
        if scale == 1:
            return image
        return F.interpolate(image, scale_factor=scale, mode="bicubic", align_corners=False).clamp(0, 1)

    def to_diffused(self, latent: Tensor, given: Given) -> Tensor:
        """The latent of a clean image (B, Z, h, w) in the form that is diffused."""
        difference = latent.float() if given.base is None else latent.float() - given.base.float()
        return difference * self.latent_scale.view(1, -1, 1, 1)

    def from_diffused(self, diffused: Tensor, base: Tensor | None) -> Tensor:
        """Invert ``to_diffused``: the latent of the result (B, Z, h, w)."""
        latent = diffused / self.latent_scale.to(diffused.device).view(1, -1, 1, 1)
        return latent if base is None else latent + base

    def denoise(self, noisy: Tensor, time: Tensor, given: Given) -> Tensor:
        """The output of the denoiser (B, Z, h, w) for noisy latents at time steps (B,)."""
        return self.denoiser(torch.cat([noisy, given.concat.to(noisy.dtype)], dim=1), time, given.context)

    def predict(self, noisy: Tensor, time: int, given: Given, guidance: float = 1.0) -> Predicted:
        """Clean latent and noise as the denoiser sees them.

        Args:
            guidance: factor of the step from the output without condition to that with it (Ho and Salimans, 2021).
        """
        times = torch.full((len(noisy),), time, device=noisy.device)
        output = self.denoise(noisy, times, given).to(noisy.dtype)
        if guidance != 1:
            without = self.denoise(noisy, times, without_condition(given, torch.ones_like(times, dtype=torch.bool)))
            output = without + guidance * (output - without)
        return self.schedule.predicted(output, noisy, time)


def without_condition(given: Given, dropped: Tensor) -> Given:
    """Replace the condition of the photos for which ``dropped`` (B,) is true by zeros; the base stays."""
    keep = ~dropped
    concat = given.concat * keep.view(-1, 1, 1, 1).to(given.concat.dtype)
    context = None if given.context is None else given.context * keep.view(-1, 1, 1).to(given.context.dtype)
    return Given(concat, given.base, context)
