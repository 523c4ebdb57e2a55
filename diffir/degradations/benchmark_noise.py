"""The noise of published denoising tables, which differs from the noise of training.

Each image starts numpy's legacy generator anew with seed 0 and draws one float64 normal number per value in H, W, C
order (RGB). The sum is neither clipped nor rounded: scores on clipped or 8-bit noise are not comparable. This is the
convention of the test scripts since FFDNet (Zhang et al., TIP 2018).
"""

import numpy as np

from diffir.pixels import to_float


def add_benchmark_noise(image: np.ndarray, sigma: float, *, seed: int = 0) -> np.ndarray:
    """Add the noise of the benchmarks to one image.

    Args:
        image: H x W x C, RGB: uint8, uint16 or float in [0, 1].
        sigma: standard deviation in 1/255.
        seed: start of ``np.random.RandomState``; 0 in published tables.

    Returns:
        H x W x C float32, around [0, 1], neither clipped nor rounded.
    """
    clean = to_float(image).astype(np.float32)
    noise = np.random.RandomState(seed).normal(0, sigma / 255, clean.shape)
    return (clean + noise).astype(np.float32)
