"""Fixtures of the fleet: photos, a weights file of a toy network, and what workers share."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch

pytest.importorskip("fsspec", reason="fsspec is not installed: pip install '.[fleet]'")
pytest.importorskip("pyarrow", reason="pyarrow is not installed: pip install '.[fleet]'")

from diffir.fleet.stores import Store
from diffir.fleet.worker import Work
from diffir.image_io import write_image
from diffir.systems.diffir import DiffIR
from diffir.systems.diffir.tasks import get_task
from tests.diffir_objects import card_of, save_weights


@pytest.fixture
def network(tmp_path: Path) -> Path:
    """A file of weights of a toy network."""
    settings, path = get_task("denoise_tiny").arch, tmp_path / "toy.safetensors"
    torch.manual_seed(0)
    save_weights(path, DiffIR(settings).state_dict(), card_of("toy", settings, task="denoise_tiny"))
    return path


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    """Five photos in two folders, a hidden one, a text, and a file that is no photo."""
    folder = tmp_path / "photos"
    for number, name in enumerate(["a.png", "b.jpg", "deep/a.png", "deep/c.tif", "deep/er/d.webp", ".hidden/e.png"]):
        write_image(folder / name, np.random.default_rng(number).integers(0, 256, (24, 32, 3), dtype=np.uint8))
    (folder / "notes.txt").write_text("no photo")
    (folder / "deep/broken.png").write_text("no photo")
    return folder


@pytest.fixture
def make_work(network: Path, photos: Path, tmp_path: Path) -> Callable[..., Work]:
    """Make the work of restoring ``photos``, or photos at another place."""

    def make(inputs: str = str(photos), outputs: str = str(tmp_path / "restored"), **changes: object) -> Work:
        options = {"device": "cpu", "precision": "fp32"}
        return Work(Store.at(inputs), Store.at(outputs), str(network), **{"load_options": options, **changes})

    return make
