"""The photo that tests of the page upload."""

from pathlib import Path

import pytest
from PIL import Image

from tests.web.page_clients import SAMPLE


@pytest.fixture
def small(tmp_path: Path) -> Path:
    """A noisy photo of 96 x 96 pixels, in a folder of its own."""
    path = tmp_path / "in" / "small.png"
    path.parent.mkdir()
    Image.open(SAMPLE).crop((100, 100, 196, 196)).save(path)
    return path
