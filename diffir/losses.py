"""Losses of the two stages.

Pixel: L1 between restored and clean image. Prior: how far the estimated prior is from the oracle's; only its L1
enters the total in the released code, the divergence is logged (DiffIR, ICCV 2023, section 3.3).
"""

import torch.nn.functional as F
from torch import Tensor

PRIOR_TEMPERATURE = 0.15  # of the softmax in the logged divergence, as in the released code


def pixel_l1(restored: Tensor, gt: Tensor) -> Tensor:
    """Mean absolute difference of two images (B, 3, H, W), in float32 whatever autocast made of them."""
    return F.l1_loss(restored.float(), gt.float())


def prior_l1(prior: Tensor, oracle: Tensor) -> Tensor:
    """Mean absolute difference of two priors (B, P); the oracle gets no gradient."""
    return F.l1_loss(prior.float(), oracle.detach().float())


def prior_divergence(prior: Tensor, oracle: Tensor) -> Tensor:
    """KL divergence from the oracle prior to the estimate, both softened to distributions; mean over the batch."""
    student = F.log_softmax(prior.float() / PRIOR_TEMPERATURE, dim=1)
    teacher = F.log_softmax(oracle.detach().float() / PRIOR_TEMPERATURE, dim=1)
    return F.kl_div(student, teacher, reduction="batchmean", log_target=True)
