"""No-reference metrics of the package pyiqa, where a user has installed it: the only door to it.

In: RGB h x w x 3 on the 8-bit scale; out: its score. The package and some of its weights are for non-commercial use
(PolyForm Noncommercial), so it is never required and never imported unless asked. It fetches weights by itself, so its
metrics are made ready only where downloads are allowed.
"""

import importlib

import numpy as np
import torch

from diffir.metrics.features import to_tensor
from diffir.metrics.metric import Score


def load(name: str, device: str) -> Score:
    """The package's metric of this name."""
    metric = importlib.import_module("pyiqa").create_metric(name, device=torch.device(device))

    @torch.inference_mode()
    def score(restored: np.ndarray) -> float:
        return float(metric(to_tensor(restored.clip(0, 255), device)))

    return score
