"""DiffIR: a DIRformer and the prior that guides it.

Stage 1 and stage 2 are one network with two priors. Stage 1 sees the clean image: ``oracle_prior(lq, gt)``. Stage 2
does not: ``estimate_prior(lq)`` runs CPEN on lq alone and denoises a random vector in ``num_timesteps`` steps.
Xia et al., "DiffIR: Efficient Diffusion Model for Image Restoration", ICCV 2023.
"""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from diffir.hole_fill import fill_holes
from diffir.systems.diffir.cpen import CPEN
from diffir.systems.diffir.denoiser import Denoiser
from diffir.systems.diffir.diffusion import Schedule
from diffir.systems.diffir.dirformer import DIRformer
from diffir.systems.diffir.settings import ArchSettings, Stage


class DiffIR(nn.Module):
    """The network of one stage.

    Tensors: lq (B, C, H, W) and gt (B, 3, scale*H, scale*W) in [0, 1], RGB; prior, condition and noise (B, P).
    """

    def __init__(self, settings: ArchSettings, stage: Stage = 2) -> None:
        super().__init__()
        self.settings = settings
        self.stage = stage
        self.schedule = Schedule.linear_in_sqrt(settings.num_timesteps, settings.linear_start, settings.linear_end)
        self.dirformer = DIRformer(settings)
        self.cpen = CPEN(settings.cpen_channels(stage), settings.prior_width, settings.cpen_blocks)
        if stage == 2:
            self.denoiser = Denoiser(settings.prior_width, settings.denoiser_blocks, settings.num_timesteps)

    def oracle_prior(self, lq: Tensor, gt: Tensor) -> Tensor:
        """Stage 1: the prior (B, P) extracted from lq and the clean image."""
        assert self.stage == 1, "the oracle prior belongs to a stage-1 network"
        clean = F.pixel_unshuffle(gt, self.settings.gt_unshuffle)
        return self.cpen(torch.cat([F.pixel_unshuffle(self._seen(lq), self.settings.prior_unshuffle), clean], dim=1))

    def condition(self, lq: Tensor) -> Tensor:
        """Stage 2: what the denoiser is told of lq, (B, P)."""
        assert self.stage == 2, "the condition belongs to a stage-2 network"
        return self.cpen(F.pixel_unshuffle(self._seen(lq), self.settings.prior_unshuffle))

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
            noise: (B, P) standard normal; drawn from ``generator`` when not given.
            teacher_prior: (B, P), training only: the chain then starts from a noisy version of it.
        """
        condition = self.condition(lq)
        if noise is None:
            noise = _standard_normal(condition, generator)
        x_t = noise
        if teacher_prior is not None:
            x_t = self.schedule.q_sample(teacher_prior, self.schedule.num_timesteps - 1, noise)
        return self.denoise_prior(x_t, condition)

    def denoise_prior(self, x_t: Tensor, condition: Tensor) -> list[Tensor]:
        """Stage 2: the prior (B, P) after each reverse step, t = T-1 first, from a noisy one and a condition."""
        return self.schedule.reverse_chain(lambda x, t: self.denoiser(x, t, condition), x_t)

    def estimate_prior(
        self,
        lq: Tensor,
        *,
        noise: Tensor | None = None,
        generator: torch.Generator | None = None,
        teacher_prior: Tensor | None = None,
    ) -> Tensor:
        """Stage 2: the prior (B, P) estimated from lq alone; arguments as in ``prior_chain``."""
        return self.prior_chain(lq, noise=noise, generator=generator, teacher_prior=teacher_prior)[-1]

    def restore(self, lq: Tensor, prior: Tensor) -> Tensor:
        """Restored image (B, 3, scale*H, scale*W), not clamped, under a given prior."""
        return self.dirformer(self._seen(lq), prior)

    def forward(self, lq: Tensor, *, noise: Tensor | None = None) -> Tensor:
        """Stage 2 end to end: estimate the prior, then restore."""
        return self.restore(lq, self.estimate_prior(lq, noise=noise))

    def _seen(self, lq: Tensor) -> Tensor:
        """lq as ``settings.hole_fill`` shows it."""
        if self.settings.hole_fill == "zeros":
            return lq
        image, mask = lq[:, :-1], lq[:, -1:]
        return torch.cat([fill_holes(image, mask), mask], dim=1)


def _standard_normal(like: Tensor, generator: torch.Generator | None) -> Tensor:
    """Normal numbers of the shape of ``like``; drawn on the generator's own device, so a seed means one prior."""
    device = generator.device if generator is not None else like.device
    return torch.randn(like.shape, generator=generator, device=device).to(like)
