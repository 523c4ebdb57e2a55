"""Save a prior to a file of 1 KB and load it, to use it for other photos or for the frames of a video, or to mix it.

In and out: a tensor (1, P) and a safetensors file that also names the weights with which the prior was estimated; a
prior is meaningless for other weights. DiffIR (Xia et al., ICCV 2023) calls it the image restoration prior
representation, IPR.
"""

from collections.abc import Sequence
from pathlib import Path

import torch
from safetensors import SafetensorError
from safetensors.torch import load, save
from torch import Tensor

from diffir.errors import UsageError, WeightsError
from diffir.files import why_refused, write_atomically
from diffir.weights.header import read_header

_TENSOR, _WEIGHTS = "prior", "weights"


def save_prior(path: str | Path, prior: Tensor, weights_name: str) -> None:
    """Write a prior (1, P) as float32.

    Raises:
        OSError: the file cannot be written.
    """
    content = save({_TENSOR: prior.detach().float().cpu().contiguous()}, {_WEIGHTS: weights_name})
    with write_atomically(path) as file:
        file.write(content)


def load_prior(path: str | Path) -> tuple[Tensor, str]:
    """Read a prior (1, P), float32, and the name of the weights that it belongs to.

    Raises:
        UsageError: the file does not exist or cannot be read.
        WeightsError: the file does not hold a prior, or the prior has NaN or infinite values.
    """
    # Read the file.
    path = Path(path)
    reason = why_refused(path)
    if not reason and not path.is_file():
        raise UsageError(f"no such prior: {path}")
    try:
        tensors, name = load(path.read_bytes()), read_header(path).metadata.get(_WEIGHTS, "")
    except OSError as error:
        raise UsageError(f"{path}: cannot be read ({reason or error.strerror or error})") from error
    except (SafetensorError, ValueError) as error:
        raise WeightsError(f"{path} is not a prior that diffir wrote ({error})") from error

    # Check the tensor: files may come from anywhere.
    prior = tensors.get(_TENSOR)
    if prior is None or prior.ndim != 2 or len(prior) != 1 or not torch.isfinite(prior).all():
        raise WeightsError(f"{path} does not hold one prior of finite numbers")
    return prior, name


def load_priors_of(weights_name: str, paths: Sequence[Path], shares: Sequence[float] | None = None) -> Tensor:
    """The mean (1, P) of priors that were saved with the weights of this name; ``shares`` as in ``mix_priors``.

    Raises:
        UsageError: a prior belongs to other weights; also the errors of ``load_prior`` and ``mix_priors``.
    """
    priors = []
    for path in paths:
        prior, name = load_prior(path)
        if name != weights_name:
            raise UsageError(f"{path} is a prior of {name}, which {weights_name} cannot use")
        priors.append(prior)
    return mix_priors(priors, shares)


def mix_priors(priors: Sequence[Tensor], shares: Sequence[float] | None = None) -> Tensor:
    """The weighted mean of priors (1, P).

    Args:
        shares: weights of the priors; they need not add up to one and are equal if not given.
    Raises:
        UsageError: the numbers of shares and of priors differ, priors have different widths, or the shares add up to
            zero.
    """
    shares = [1.0] * len(priors) if shares is None else list(shares)
    if len(shares) != len(priors):
        raise UsageError(f"{len(priors)} priors need as many shares, got {len(shares)}")
    if len({prior.shape for prior in priors}) > 1:
        widths = ", ".join(str(prior.shape[-1]) for prior in priors)
        raise UsageError(f"only priors of one width can be mixed, got {widths}")

    # Divide by the sum of the shares, so that a mixture of equal priors is that prior.
    total = sum(shares)
    if not total or not torch.isfinite(torch.tensor(shares)).all():
        raise UsageError(f"the shares of priors must be finite and not add up to 0, got {shares}")
    mixed = torch.stack([prior * (share / total) for prior, share in zip(priors, shares, strict=True)])
    return mixed.sum(dim=0)
