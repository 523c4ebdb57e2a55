"""A header that claims more pixels than allowed is refused before anything is decoded, in every format."""

import logging
import struct
import threading
import tracemalloc
import warnings
import zlib
from pathlib import Path

import cv2
import numpy as np
import pytest
from PIL import Image

from diffir.errors import ImageError
from diffir.image_io import MAX_PIXELS, Animation, Photo, read_file, read_image, write_image
from diffir.image_io.plugins import _size_of_jxl
from diffir.image_io.quiet import quiet_decoders

SIDE = 60_000


def chunk(kind: bytes, content: bytes) -> bytes:
    return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))


def png(side: int = SIDE, bits: int = 8, frames: int = 0) -> bytes:
    head = chunk(b"IHDR", struct.pack(">IIBB3x", side, side, bits, 2))
    head += chunk(b"acTL", struct.pack(">II", frames, 0)) if frames else b""
    return b"\x89PNG\r\n\x1a\n" + head + chunk(b"IDAT", zlib.compress(bytes(100_000))) + chunk(b"IEND", b"")


def jpeg() -> bytes:
    """Return a JPEG of 8 x 8 pixels whose frame header states another height and width."""
    content = cv2.imencode(".jpg", np.zeros((8, 8, 3), np.uint8))[1].tobytes()
    at = content.index(b"\xff\xc0") + 5
    return content[:at] + struct.pack(">HH", SIDE, SIDE) + content[at + 4 :]


def tiff(order: str = "<", **changes: int) -> bytes:
    numbers = {"256": SIDE, "257": SIDE, "258": 16, "259": 8, "262": 1, "273": 8, "277": 1, "278": SIDE, "279": 40}
    numbers |= {str(key)[1:]: value for key, value in changes.items()}
    entries = [struct.pack(order + "HHII", int(code), 4, 1, value) for code, value in sorted(numbers.items())]
    head = (b"II*\0" if order == "<" else b"MM\0*") + struct.pack(order + "I", 8)
    return head + struct.pack(order + "H", len(entries)) + b"".join(entries) + bytes(100)


BOMBS = {
    "8 bit.png": png(),
    "16 bit.png": png(bits=16),
    "frames.png": png(side=1000, frames=2**30),
    "a.tif": tiff(),
    "b.tif": tiff(">"),
    "palette.tif": tiff(_258=4, _262=3),
    "a.jpg": jpeg(),
    "a.bmp": b"BM" + struct.pack("<IHHIIiiHHIIiiII", 200, 0, 0, 54, 40, SIDE, SIDE, 1, 24, 0, 0, 0, 0, 0, 0),
    "a.gif": b"GIF89a" + struct.pack("<HHBBB", SIDE, SIDE, 0, 0, 0) + b"," + bytes(30),
    "a.ppm": b"P6 60000 60000 65535\n" + bytes(100),
    "b.ppm": b"P3 60000 60000 255\n1 2 3",
    "a.webp": b"RIFF\x64\0\0\0WEBPVP8X\x0a\0\0\0\0\0\0\0" + (SIDE - 1).to_bytes(3, "little") * 2 + bytes(100),
    "a.jxl": b"\xff\x0a" + (0 | 2 << 1 | (SIDE - 1) << 3 | 1 << 21).to_bytes(12, "little"),
}


@pytest.mark.parametrize("name", sorted(BOMBS))
def test_a_bomb_is_refused_before_it_is_decoded(tmp_path: Path, name: str) -> None:
    if name == "a.jxl":
        assert _size_of_jxl(BOMBS[name]) == (SIDE, SIDE)
        pytest.importorskip("pillow_jxl")
    (tmp_path / name).write_bytes(BOMBS[name])
    tracemalloc.start()

    # The bombs end behind their headers, so a decoder that was asked would have said something else.
    with pytest.raises(ImageError, match=rf"\d+ x \d+.* is more than {MAX_PIXELS} pixels; --max_pixels raises"):
        read_file(tmp_path / name)

    assert tracemalloc.get_traced_memory()[1] < 10**7
    tracemalloc.stop()


@pytest.mark.parametrize("kind", ["png", "jp2", "tiff"])
def test_what_opencv_decodes_is_measured_before(tmp_path: Path, draw, kind: str) -> None:
    cv2.imwrite(str(tmp_path / f"a.{kind}"), draw(64, 65, 3, dtype=np.uint16))

    with pytest.raises(ImageError, match="65 x 64 is more than 4159 pixels"):
        read_file(tmp_path / f"a.{kind}", max_pixels=4159)
    assert isinstance(read_file(tmp_path / f"a.{kind}", max_pixels=4160), Photo)


@pytest.mark.parametrize("suffix", [".gif", ".webp", ".png"])
def test_all_frames_count(tmp_path: Path, draw, suffix: str) -> None:
    frames = tuple(Photo(draw(8, 8, 3)) for _ in range(3))
    write_image(tmp_path / f"a{suffix}", Animation(frames, (50.0,) * 3))

    with pytest.raises(ImageError, match="8 x 8 x 3 frames is more than 191 pixels"):
        read_file(tmp_path / f"a{suffix}", max_pixels=191)
    assert isinstance(read_file(tmp_path / f"a{suffix}", max_pixels=192), Animation)


def test_pillows_own_limit_does_not_stop_us_and_is_put_back(tmp_path: Path, draw, monkeypatch) -> None:
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 10)
    write_image(tmp_path / "a.png", draw(8, 8, 3))

    assert read_image(tmp_path / "a.png").pixels.shape == (8, 8, 3)
    assert Image.MAX_IMAGE_PIXELS == 10


@pytest.mark.parametrize(
    "changes",
    [{"_277": 60_000}, {"_322": 2**31, "_323": 2**31, "_324": 8, "_325": 40}, {"_258": 64}, {"_339": 2}, {"_278": 0}],
    ids=str,
)
def test_an_absurd_tiff_header_is_one_line(tmp_path: Path, changes: dict[str, int]) -> None:
    (tmp_path / "a.tif").write_bytes(tiff(_256=20, _257=20, **changes))

    with pytest.raises(ImageError, match=r"a\.tif: "):
        read_file(tmp_path / "a.tif")


def test_deflated_bytes_beyond_the_picture_are_never_unpacked(tmp_path: Path) -> None:
    packed = zlib.compress(bytes(80_000_000))
    content = tiff(_256=16, _257=16, _278=16, _279=len(packed), _273=1000).ljust(1000, b"\0") + packed
    (tmp_path / "a.tif").write_bytes(content)
    resource = pytest.importorskip("resource")
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss

    assert read_image(tmp_path / "a.tif").pixels.shape == (16, 16, 1)
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 40_000  # kB


def settings_of_the_process() -> tuple[object, ...]:
    level = (cv2.utils.logging if hasattr(cv2.utils, "logging") else cv2).getLogLevel()
    return Image.MAX_IMAGE_PIXELS, level, logging.getLogger("PIL").level, warnings.filters[:]


def test_many_threads_leave_the_process_as_they_found_it(tmp_path: Path, draw) -> None:
    write_image(tmp_path / "a.png", draw(64, 64, 3))
    before = settings_of_the_process()
    found: list[tuple[int, ...]] = []

    def read() -> None:
        for _ in range(10):
            found.append(read_image(tmp_path / "a.png").pixels.shape)

    threads = [threading.Thread(target=read) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert found == [(64, 64, 3)] * 80
    assert settings_of_the_process() == before


def test_the_last_reader_puts_back_what_the_first_found() -> None:
    before = Image.MAX_IMAGE_PIXELS
    first, second = quiet_decoders(), quiet_decoders()
    first.__enter__()
    second.__enter__()
    first.__exit__(None, None, None)

    assert Image.MAX_IMAGE_PIXELS is None
    second.__exit__(None, None, None)
    assert before == Image.MAX_IMAGE_PIXELS is not None
