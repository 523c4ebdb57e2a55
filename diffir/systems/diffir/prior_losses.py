"""Losses of the prior: how far the estimated one is from the oracle's.

In: priors (B, P). Out: float32 scalars; the oracle gets no gradient. Only the L1 enters the total in the released
code, the divergence is logged (DiffIR, ICCV 2023, section 3.3).
"""

import torch.nn.functional as F
from torch import Tensor

PRIOR_TEMPERATURE = 0.15  # of the softmax in the logged divergence, as in the released code


def prior_l1(prior: Tensor, oracle: Tensor) -> Tensor:
    """Mean absolute difference of two priors (B, P); the oracle gets no gradient."""
    return F.l1_loss(prior.float(), oracle.detach().float())


def prior_divergence(prior: Tensor, oracle: Tensor) -> Tensor:
    """KL divergence from the oracle prior to the estimate, both softened to distributions; mean over the batch."""
    student = F.log_softmax(prior.float() / PRIOR_TEMPERATURE, dim=1)
    teacher = F.log_softmax(oracle.detach().float() / PRIOR_TEMPERATURE, dim=1)
    return F.kl_div(student, teacher, reduction="batchmean", log_target=True)
