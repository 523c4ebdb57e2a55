"""No-reference metrics of the optional package pyiqa; this is the only module that imports it.

In: an RGB image h x w x 3 on the 8-bit scale. Out: its score. The package and some of its weights are licensed for
non-commercial use (PolyForm Noncommercial), so it is never required, and imported only if a user chooses one of its
metrics. It downloads weights by itself, so its metrics are loaded only if downloads are allowed.
"""

import importlib

import numpy as np
import torch

from diffir.metrics.features import to_tensor
from diffir.metrics.metric import Score


def load(name: str, device: str) -> Score:
    """Load the package's metric of this name."""
    metric = importlib.import_module("pyiqa").create_metric(name, device=torch.device(device))

    @torch.inference_mode()
    def score(restored: np.ndarray) -> float:
        return float(metric(to_tensor(restored.clip(0, 255), device)))

    return score
