"""The small matrices of channel attention, which follow from sums over pixels.

In: q k^T and the squared norms of queries and keys. Out: the matrix that is applied to the values. DMTA (DiffIR, ICCV
2023), after Restormer's transposed attention (CVPR 2022).
"""

from torch import Tensor

NORM_FLOOR = 1e-12  # lower limit of |q| and |k|, as in torch.nn.functional.normalize, which training upstream used


def attention_matrix(products: Tensor, squares: Tensor, temperature: Tensor) -> Tensor:
    """Attention (..., heads, c, c): softmax over the keys of the scaled cosines.

    Args:
        products: q k^T, (..., heads, c, c).
        squares: |q|^2 and |k|^2, (..., 2, heads, c).
        temperature: (heads, 1, 1).
    """
    queries, keys = squares.clamp_min(NORM_FLOOR**2).sqrt().unbind(-3)
    return (products / (queries[..., None] * keys[..., None, :]) * temperature).softmax(dim=-1)


def projected(attention: Tensor, project: Tensor) -> Tensor:
    """Multiply the output projection (C, C, 1, 1) and attention (..., heads, c, c) to one matrix (..., C, C)."""
    # Plain torch, since training on small maps feels the time that einops takes.
    weights = project.flatten(1).unflatten(1, attention.shape[-3:-1]).movedim(1, 0)
    return (weights @ attention.to(weights.dtype)).transpose(-3, -2).flatten(-2)
