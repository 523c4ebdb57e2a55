"""Small photos for the tests of data, in which every place differs from every other."""

from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import pytest

Draw = Callable[..., np.ndarray]
WritePhotos = Callable[..., Path]


@pytest.fixture
def noise() -> Draw:
    """``noise(seed, height, width)`` draws random pixels, H x W x 3 uint8."""

    def draw(seed: int, height: int = 40, width: int = 50) -> np.ndarray:
        return np.random.default_rng(seed).integers(0, 256, (height, width, 3)).astype(np.uint8)

    return draw


@pytest.fixture
def scene(noise: Draw) -> Draw:
    """``scene(seed)`` draws an image, H x W x 3 uint8, with structure of all sizes, as photos have it."""

    def draw(seed: int, height: int = 160, width: int = 200) -> np.ndarray:
        coarse = [cv2.resize(noise(seed + 100 * k, 5 * 2**k, 6 * 2**k), (width, height)) for k in range(5)]
        return np.clip(np.mean(coarse, axis=0) * 2 - 128, 0, 255).astype(np.uint8)

    return draw


@pytest.fixture
def photos(tmp_path: Path) -> WritePhotos:
    """``photos("gt", {"a.png": image})`` writes images into a folder and returns its path."""

    def write(folder: str, images: dict[str, np.ndarray]) -> Path:
        for name, image in images.items():
            path = tmp_path / folder / name
            path.parent.mkdir(parents=True, exist_ok=True)
            assert cv2.imwrite(str(path), image[..., ::-1] if image.ndim == 3 else image)
        return tmp_path / folder

    return write
