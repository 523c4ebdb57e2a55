"""Restore one image whole through an engine, without a ``Restorer``: what validation during training does."""

import numpy as np
import torch
from torch import Tensor

from diffir.inference.source import Source
from diffir.system import Engine, Precision


@torch.no_grad()
def restore_whole(
    engine: Engine, lq: np.ndarray, *, seed: int, prior: Tensor | None = None, precision: Precision = "fp32"
) -> np.ndarray:
    """Restore an image in one piece.

    Args:
        engine: on the device of its network.
        lq: h x w x C, RGB and for inpainting a mask, with sides that are multiples of ``Facts.multiple_of``.
        seed: determines every random number.
        prior: (1, P), to be used instead of the estimated one.
    Returns:
        H x W x 3 float32, neither clipped nor rounded.
    """
    facts = engine.facts
    source = Source.whole(lq[None, ..., :3], lq[None, ..., 3] if facts.has_mask else None, facts)
    restored = np.empty((facts.scale * source.height, facts.scale * source.width, 3), np.float32)

    def write(top: int, rows: Tensor) -> None:
        restored[top : top + rows.shape[2]] = rows[0].float().cpu().numpy().transpose(1, 2, 0)

    session = engine.open(source, seed=seed, prior=prior, tile=None, precision=precision)
    session.restore(source, write, precision, lambda share: None)
    return restored
