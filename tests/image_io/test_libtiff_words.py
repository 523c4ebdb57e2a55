"""What libtiff says about a damaged file is in diffir's line, and nothing goes to the terminal."""

import io
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, features

from diffir.errors import ImageError
from diffir.image_io.read import read_image

pytestmark = pytest.mark.skipif(not features.check("libtiff"), reason="this Pillow has no libtiff")


def fax(seed: int) -> bytes:
    """Return a TIFF of random black and white pixels in a fax code, some of whose bytes are damaged."""
    pixels = np.random.default_rng(seed).random((40, 48)) > 0.5
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, "TIFF", compression="group4")
    content = bytearray(buffer.getvalue())
    at = dict(Image.open(io.BytesIO(buffer.getvalue())).tag_v2)[273][0]
    content[at + 100 : at + 120] = b"\xff" * 20
    return bytes(content)


def read_or_refuse(path: Path) -> str:
    try:
        return read_image(path).note
    except ImageError as error:
        return str(error)


def test_damage_is_told_in_one_line_and_not_on_the_terminal(tmp_path: Path, capfd: pytest.CaptureFixture) -> None:
    (tmp_path / "fax.tif").write_bytes(fax(0))

    said = read_or_refuse(tmp_path / "fax.tif")

    assert "damaged" in said and "Fax4Decode: " in said and "line" in said and "\n" not in said
    assert capfd.readouterr() == ("", "")


def test_threads_keep_their_words_apart(tmp_path: Path, capfd: pytest.CaptureFixture) -> None:
    Image.fromarray(np.zeros((40, 48), bool)).save(tmp_path / "whole.tif", compression="group4")
    (tmp_path / "fax.tif").write_bytes(fax(1))

    with ThreadPoolExecutor(4) as pool:
        said = list(pool.map(read_or_refuse, [tmp_path / "fax.tif", tmp_path / "whole.tif"] * 20))

    assert all("damaged" in words for words in said[::2]) and not any(said[1::2])
    assert capfd.readouterr() == ("", "")
