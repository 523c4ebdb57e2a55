"""Adversarial losses on the logits of a discriminator, the R1 penalty, and feature matching.

In: logits (B, 1, h, w), above 0 for real. Out: float32 scalars. The loss is softplus(-x) = -log sigmoid(x); option
files call it "vanilla" (binary cross-entropy on logits: Goodfellow et al., 2014) or "non-saturating", which has the
same value. R1: Mescheder et al., ICML 2018, eq. 9. Counting known pixels of an inpainted image as real, and feature
matching: LaMa (Suvorov et al., WACV 2022, section 2.3).
"""

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor


def generator_loss(fake_logits: Tensor) -> Tensor:
    """Return the loss of the generator, which is low if the discriminator takes restored images for real."""
    return F.softplus(-fake_logits.float()).mean()


def discriminator_loss(real_logits: Tensor, fake_logits: Tensor, mask: Tensor | None = None) -> tuple[Tensor, Tensor]:
    """Return the losses of the discriminator on ground truths and on restored images.

    Args:
        mask: (B, 1, H, W), 1 = missing. Restored images count as fake in the missing region and as real elsewhere;
            without a mask they count as fake everywhere.
    """
    fake_loss = F.softplus(fake_logits.float())
    if mask is not None:
        hole = F.interpolate(mask.float(), size=fake_logits.shape[-2:], mode="nearest")
        fake_loss = hole * fake_loss + (1 - hole) * F.softplus(-fake_logits.float())
    return F.softplus(-real_logits.float()).mean(), fake_loss.mean()


def r1_penalty(real_logits: Tensor, images: Tensor) -> Tensor:
    """Return the squared norm of the gradient of the logits with respect to the images, averaged over the batch.

    Args:
        real_logits: logits of ``images``.
        images: ground truths (B, 3, H, W), which must require gradients.
    """
    (slope,) = torch.autograd.grad(real_logits.sum(), images, create_graph=True)
    return slope.float().square().flatten(1).sum(dim=1).mean()


def feature_matching(fake: Sequence[Tensor], real: Sequence[Tensor]) -> Tensor:
    """Return the mean squared difference of the feature maps of a discriminator, averaged over the maps.

    The maps of the ground truths (``real``) get no gradient.
    """
    distances = [F.mse_loss(f.float(), r.detach().float()) for f, r in zip(fake, real, strict=True)]
    return torch.stack(distances).mean()
