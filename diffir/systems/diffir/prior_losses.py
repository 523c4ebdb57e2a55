"""Losses between the estimated prior and the oracle prior of stage 1.

In: priors (B, P). Out: float32 scalars; no gradient reaches the oracle prior. As in the released code, only the L1 loss
is part of the total loss, and the divergence is only logged (DiffIR, ICCV 2023, section 3.3).
"""

import torch.nn.functional as F
from torch import Tensor

PRIOR_TEMPERATURE = 0.15  # temperature of the softmax in the divergence, as in the released code


def prior_l1(prior: Tensor, oracle: Tensor) -> Tensor:
    """Mean absolute difference of two priors (B, P); no gradient reaches the oracle."""
    return F.l1_loss(prior.float(), oracle.detach().float())


def prior_r2(priors: Tensor, oracles: Tensor) -> float:
    """The share of the variance of oracle priors (N, P) over N photos that estimates (N, P) explain; at most 1.

    1 is a perfect estimate, and 0 is no better than always giving the mean oracle prior.
    """
    priors, oracles = priors.double(), oracles.double()
    missed = (priors - oracles).square().sum()
    return float(1 - missed / (oracles - oracles.mean(dim=0)).square().sum())


def prior_divergence(prior: Tensor, oracle: Tensor) -> Tensor:
    """KL divergence from the oracle prior to the estimate, both as softmax distributions; mean over the batch."""
    student = F.log_softmax(prior.float() / PRIOR_TEMPERATURE, dim=1)
    teacher = F.log_softmax(oracle.detach().float() / PRIOR_TEMPERATURE, dim=1)
    return F.kl_div(student, teacher, reduction="batchmean", log_target=True)
