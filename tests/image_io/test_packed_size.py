"""A header that asks for more pixels than the packed bytes can hold is refused before memory is asked for."""

import io
import struct
import tracemalloc
import zlib
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from diffir.errors import ImageError
from diffir.image_io.packed_size import check_enough, check_file
from diffir.image_io.photo import frames_of
from diffir.image_io.png import chunk
from diffir.image_io.read import read_file, read_image

SIDE = 20_000  # 400 million pixels, fewer than the limit


def png(depth: int, colour_type: int, *, interlaced: int = 0) -> bytes:
    header = struct.pack(">IIBBBBB", SIDE, SIDE, depth, colour_type, 0, 0, interlaced)
    parts = [chunk(b"IHDR", header), chunk(b"PLTE", bytes(6)), chunk(b"IDAT", zlib.compress(bytes(30_000)))]
    return b"\x89PNG\r\n\x1a\n" + b"".join([*parts, chunk(b"IEND", b"")])


def encoded(kind: str, **options: object) -> bytearray:
    buffer = io.BytesIO()
    Image.fromarray(np.zeros((64, 64, 3), np.uint8)).save(buffer, kind, **options)
    return bytearray(buffer.getvalue())


def jpeg(marker: bytes, **options: object) -> bytes:
    content = encoded("JPEG", **options)
    struct.pack_into(">HH", content, content.index(marker) + 5, SIDE, SIDE)
    return bytes(content)


def tiff(compression: str | None) -> bytes:
    """Return a TIFF whose width, height and rows in a strip are forged."""
    content = encoded("TIFF", compression=compression)
    (at,) = struct.unpack_from("<I", content, 4)
    for entry in range(at + 2, at + 2 + 12 * struct.unpack_from("<H", content, at)[0], 12):
        if struct.unpack_from("<H", content, entry)[0] in (256, 257, 278):
            struct.pack_into("<HII", content, entry + 2, 4, 1, SIDE)
    return bytes(content)


FORGED = {
    **{f"PNG {depth} bit, type {kind}": png(depth, kind) for depth, kind in [(8, 2), (16, 2), (16, 4), (1, 0), (8, 3)]},
    "interlaced PNG": png(8, 2, interlaced=1),
    "JPEG": jpeg(b"\xff\xc0"),
    "progressive JPEG": jpeg(b"\xff\xc2", progressive=True),
    **{f"TIFF {name}": tiff(name) for name in (None, "tiff_lzw", "tiff_adobe_deflate", "packbits")},
}


@pytest.mark.parametrize("name", FORGED)
def test_a_forged_size_is_one_line_and_no_memory(name: str, tmp_path: Path) -> None:
    (tmp_path / "forged").write_bytes(FORGED[name])
    tracemalloc.start()

    with pytest.raises(ImageError, match=r"forged: damaged or truncated \([\d,]+ bytes of .* cannot hold") as caught:
        read_image(tmp_path / "forged")

    assert "\n" not in str(caught.value)
    assert tracemalloc.get_traced_memory()[1] < 2**22
    tracemalloc.stop()


@pytest.mark.parametrize("shape", [(2000, 2000), (4000, 3), (3, 4000)])
@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("a.png", {"compress_level": 9}),
        ("a.jpg", {"quality": 1, "optimize": True}),
        ("b.jpg", {"quality": 1, "progressive": True, "optimize": True}),
        ("a.tif", {"compression": "tiff_lzw"}),
        ("b.tif", {"compression": "tiff_adobe_deflate"}),
        ("c.tif", {"compression": "packbits"}),
        ("d.tif", {}),
    ],
)
def test_the_plainest_pictures_are_within_the_ratios(name: str, options: dict, shape: tuple, tmp_path: Path) -> None:
    Image.fromarray(np.zeros(shape, np.uint8)).save(tmp_path / name, **options)

    assert read_image(tmp_path / name).pixels.shape == (*shape, 1)


def forged_jpeg2000() -> bytes:
    content = encoded("JPEG2000")
    size = content.index(b"\xff\x4f\xff\x51")
    struct.pack_into(">II", content, size + 8, SIDE, SIDE)  # the picture
    struct.pack_into(">II", content, size + 24, SIDE, SIDE)  # its only tile
    struct.pack_into(">II", content, content.index(b"ihdr") + 4, SIDE, SIDE)
    return bytes(content)


def forged_webp() -> bytes:
    content = encoded("WEBP", lossless=True)
    at = content.index(b"VP8L") + 9
    bits = int.from_bytes(content[at : at + 4], "little") >> 28 << 28 | 16_000 << 14 | 16_000
    content[at : at + 4] = bits.to_bytes(4, "little")
    return bytes(content)


def forged_gif() -> bytes:
    content = encoded("GIF")
    content[6:10] = struct.pack("<HH", SIDE, SIDE)
    return bytes(content)


@pytest.mark.parametrize("forge", [forged_jpeg2000, forged_webp, forged_gif])
def test_a_large_picture_of_no_bytes_is_no_photo(forge: Callable[[], bytes], tmp_path: Path) -> None:
    (tmp_path / "forged").write_bytes(forge())

    with pytest.raises(ImageError, match=r"forged: no photo, or damaged: \d+ x \d+ pixels in \d+ bytes"):
        read_image(tmp_path / "forged")


@pytest.mark.parametrize("name", ["a.webp", "a.gif", "a.jp2"])
def test_one_colour_in_the_size_of_a_photo_is_read(name: str, tmp_path: Path) -> None:
    Image.new("RGB", (1000, 750)).save(tmp_path / name, **({"lossless": True} if name == "a.webp" else {}))

    assert read_image(tmp_path / name).pixels.shape[:2] == (750, 1000)


def test_deflate_reaches_its_ratio_and_does_not_exceed_it() -> None:
    plain = bytes(2**24)
    packed = zlib.compress(plain, 9)

    check_enough(len(plain), len(packed), "deflate")
    assert len(plain) > 1020 * len(packed)


def gif(frames: int) -> bytes:
    pictures = [Image.fromarray(np.full((24, 32, 3), 60 * number, np.uint8)) for number in range(frames)]
    buffer = io.BytesIO()
    pictures[0].save(buffer, "GIF", save_all=True, append_images=pictures[1:], disposal=2, comment=b"a,comment")
    return buffer.getvalue()


def test_frames_of_a_gif_that_lie_inside_of_it_are_read(tmp_path: Path) -> None:
    (tmp_path / "a.gif").write_bytes(gif(4))

    check_file(gif(4), "GIF", 32, 24)
    assert len(frames_of(read_file(tmp_path / "a.gif"))) == 4


@pytest.mark.parametrize("number", [1, 2, 3])
def test_a_frame_beyond_the_gif_is_refused_before_memory_is_asked_for(tmp_path: Path, number: int) -> None:
    content, at = bytearray(gif(4)), 0
    for _ in range(number + 1):
        at = content.index(b"\x2c\0\0\0\0\x20\0\x18\0", at + 1)
    struct.pack_into("<2H", content, at + 5, 65535, 65535)
    (tmp_path / "a.gif").write_bytes(content)

    with pytest.raises(ImageError, match="beyond the picture"):
        read_file(tmp_path / "a.gif")


def test_a_gif_that_ends_early_or_holds_nothing_is_left_to_the_decoder() -> None:
    for content in (gif(3)[:-30], gif(3)[:20], b"GIF89a", b""):
        assert check_file(content, "GIF", 32, 24) is None  # it raises otherwise
