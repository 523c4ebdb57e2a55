"""Adversarial losses on the logits of a discriminator, and what goes with them.

In: logits (B, 1, h, w), above 0 = real. Out: float32 scalars. The loss is softplus, -log sigmoid: option files call it
"vanilla" (binary cross-entropy on logits: Goodfellow et al., 2014) or "non-saturating", which is the same number.
R1: Mescheder et al., ICML 2018, eq. 9. Pixels outside a hole are real in a restored image, too, and matched features:
LaMa (Suvorov et al., WACV 2022, section 2.3).
"""

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor


def generator_loss(fake_logits: Tensor) -> Tensor:
    """How far restored images are from being taken for real."""
    return F.softplus(-fake_logits.float()).mean()


def discriminator_loss(real_logits: Tensor, fake_logits: Tensor, mask: Tensor | None = None) -> tuple[Tensor, Tensor]:
    """Losses of judging clean and of judging restored images.

    Args:
        mask: (B, 1, H, W), 1 = missing: restored images count as fake in there alone, and as real elsewhere.
    """
    fake_loss = F.softplus(fake_logits.float())
    if mask is not None:
        hole = F.interpolate(mask.float(), size=fake_logits.shape[-2:], mode="nearest")
        fake_loss = hole * fake_loss + (1 - hole) * F.softplus(-fake_logits.float())
    return F.softplus(-real_logits.float()).mean(), fake_loss.mean()


def r1_penalty(real_logits: Tensor, images: Tensor) -> Tensor:
    """Squared norm of the logits' slope at clean images, mean over the batch; ``images`` must require gradients."""
    (slope,) = torch.autograd.grad(real_logits.sum(), images, create_graph=True)
    return slope.float().square().flatten(1).sum(dim=1).mean()


def feature_matching(fake: Sequence[Tensor], real: Sequence[Tensor]) -> Tensor:
    """Mean squared difference of a discriminator's inner maps, mean over the maps; the real ones get no gradient."""
    distances = [F.mse_loss(f.float(), r.detach().float()) for f, r in zip(fake, real, strict=True)]
    return torch.stack(distances).mean()
