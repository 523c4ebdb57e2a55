"""Small pictures that the tests of image files use."""

from collections.abc import Callable

import numpy as np
import pytest

Draw = Callable[..., np.ndarray]


@pytest.fixture
def draw() -> Draw:
    """Return a function for noise over the whole range of a type: ``draw(13, 9, 3, dtype=np.uint16)``."""
    generator = np.random.default_rng(0)

    def noise(*shape: int, dtype: type = np.uint8) -> np.ndarray:
        if np.issubdtype(dtype, np.floating):
            return generator.random(shape, np.float64).astype(dtype)
        return generator.integers(0, np.iinfo(dtype).max, shape, dtype, endpoint=True)

    return noise


@pytest.fixture
def ramp() -> np.ndarray:
    """Return a smooth RGB picture of 64 x 48 pixels, which lossy codecs hardly change."""
    values = np.linspace(0, 255, 64 * 48).reshape(64, 48)
    return np.dstack([values, values[::-1], values[:, ::-1]]).astype(np.uint8)
