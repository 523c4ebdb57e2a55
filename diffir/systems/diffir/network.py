"""DiffIR: a DIRformer and the networks that compute the prior which guides it.

Stage 1 and stage 2 differ only in how they obtain the prior. In stage 1, ``oracle_prior(lq, gt)`` extracts it with the
ground truth as a second input. In stage 2, ``estimate_prior(lq)`` runs CPEN on lq alone, which gives the conditioning
vector, and denoises a random vector in ``num_timesteps`` steps.
Xia et al., "DiffIR: Efficient Diffusion Model for Image Restoration", ICCV 2023.
"""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from diffir.errors import ConfigError
from diffir.hole_fill import fill_holes
from diffir.systems.diffir.cpen import CPEN
from diffir.systems.diffir.denoiser import Denoiser
from diffir.systems.diffir.diffusion import Schedule
from diffir.systems.diffir.dirformer import DIRformer
from diffir.systems.diffir.settings import ArchSettings, Stage
from diffir.thumbnail import thumbnail


class DiffIR(nn.Module):
    """The network of stage 1 or stage 2.

    Tensors: lq (B, C, H, W) and gt (B, 3, scale*H, scale*W) in [0, 1], RGB; prior, noise and conditioning vector
    (B, P). Where the settings have ``prior_view: whole``, methods that compute a prior take whole photos or their
    thumbnails. Without a prior (``prior_width: 0``) there is stage 2 alone, and the prior is the constant 1, (B, 1).
    """

    def __init__(self, settings: ArchSettings, stage: Stage = 2) -> None:
        """
        Raises:
            ConfigError: stage 1 of a network without a prior.
        """
        super().__init__()
        self.settings = settings
        self.stage = stage
        self.schedule = Schedule.linear_in_sqrt(settings.num_timesteps, settings.linear_start, settings.linear_end)
        self.dirformer = DIRformer(settings)
        if not settings.prior_width:
            if stage == 1:
                raise ConfigError(
                    "a network without a prior (prior_width: 0) has no stage 1: train it with stages: [2]"
                )
            return
        self.cpen = CPEN(settings.cpen_channels(stage), settings.prior_width, settings.cpen_blocks)
        if stage == 2:
            self.denoiser = Denoiser(settings.prior_width, settings.denoiser_blocks, settings.num_timesteps)

    def oracle_prior(self, lq: Tensor, gt: Tensor) -> Tensor:
        """Stage 1: extract the prior (B, P) from lq and the ground truth."""
        assert self.stage == 1, "the oracle prior belongs to a stage-1 network"
        clean = gt if not self.settings.thumbnail else thumbnail(gt, self.settings.scale * self.settings.thumbnail)
        return self.cpen(torch.cat([self._view(lq), F.pixel_unshuffle(clean, self.settings.gt_unshuffle)], dim=1))

    def condition(self, lq: Tensor) -> Tensor:
        """Stage 2: the conditioning vector (B, P) that CPEN computes from lq for the denoiser."""
        assert self.stage == 2, "the conditioning vector belongs to a stage-2 network"
        return self.cpen(self._view(lq))

    def prior_chain(
        self,
        lq: Tensor,
        *,
        noise: Tensor | None = None,
        generator: torch.Generator | None = None,
        teacher_prior: Tensor | None = None,
    ) -> list[Tensor]:
        """Stage 2: the prior after each reverse step, t = T-1 first.

        Args:
            noise: (B, P) standard normal; drawn from ``generator`` if not given.
            teacher_prior: (B, P), for training only; the chain then starts from a noisy version of it.
        """
        if not self.settings.prior_width:
            return [lq.new_ones(len(lq), 1)]
        condition = self.condition(lq)
        if noise is None:
            noise = _standard_normal(condition, generator)

        # Start the reverse process from noise or, in training, from the noisy prior of the teacher.
        x_t = noise
        if teacher_prior is not None:
            x_t = self.schedule.q_sample(teacher_prior, self.schedule.num_timesteps - 1, noise)
        return self.denoise_prior(x_t, condition)

    def denoise_prior(self, x_t: Tensor, condition: Tensor) -> list[Tensor]:
        """Stage 2: the prior (B, P) after each reverse step, t = T-1 first, starting from ``x_t`` (B, P)."""
        return self.schedule.reverse_chain(lambda x, t: self.denoiser(x, t, condition), x_t)

    def estimate_prior(
        self,
        lq: Tensor,
        *,
        noise: Tensor | None = None,
        generator: torch.Generator | None = None,
        teacher_prior: Tensor | None = None,
    ) -> Tensor:
        """Stage 2: estimate the prior (B, P) from lq alone; arguments as in ``prior_chain``."""
        return self.prior_chain(lq, noise=noise, generator=generator, teacher_prior=teacher_prior)[-1]

    def restore(self, lq: Tensor, prior: Tensor) -> Tensor:
        """Restore lq under a given prior: (B, 3, scale*H, scale*W), not clamped."""
        return self.dirformer(self._with_filled_holes(lq), prior)

    def forward(self, lq: Tensor, *, noise: Tensor | None = None) -> Tensor:
        """Stage 2 end to end: estimate the prior, then restore lq under it."""
        return self.restore(lq, self.estimate_prior(lq, noise=noise))

    def _view(self, lq: Tensor) -> Tensor:
        """What CPEN sees of lq: its pixels, or those of its thumbnail, unshuffled into channels."""
        seen = thumbnail(lq, self.settings.thumbnail) if self.settings.thumbnail else self._with_filled_holes(lq)
        return F.pixel_unshuffle(seen, self.settings.prior_unshuffle)

    def _with_filled_holes(self, lq: Tensor) -> Tensor:
        """Fill the missing regions of lq as ``settings.hole_fill`` requires; zeros are there already."""
        if self.settings.hole_fill == "zeros":
            return lq
        image, mask = lq[:, :-1], lq[:, -1:]
        return torch.cat([fill_holes(image, mask), mask], dim=1)


def _standard_normal(like: Tensor, generator: torch.Generator | None) -> Tensor:
    """Standard normal numbers of the shape of ``like``, drawn on the generator's device: one seed, one prior."""
    device = generator.device if generator is not None else like.device
    return torch.randn(like.shape, generator=generator, device=device).to(like)
