"""Reading a damaged file gives a photo or an error of one line, and a photo that was read can be written again.

Hypothesis mutates small files of every format that needs no extra package; DIFFIR_FUZZ_CASES sets the number of cases.
"""

import io
import os
import zlib
from pathlib import Path

import cv2
import numpy as np
import pytest
import tifffile
from PIL import Image

from diffir.errors import ImageError, MissingDependency
from diffir.image_io import WRITABLE_SUFFIXES, Animation, Photo, kept_suffix, read_file, write_image

hypothesis = pytest.importorskip("hypothesis")
from hypothesis import HealthCheck, given, settings  # noqa: E402
from hypothesis import strategies as st  # noqa: E402

CASES = int(os.environ.get("DIFFIR_FUZZ_CASES", "150"))
MAX_PIXELS = 200_000
WORDS = [b"\0", b"\xff", b"\x7f\xff\xff\xff", b"\xff\xff\xff\xff", b"\0\0\0\x01", b"\x80\0"]


def by_pillow(image: Image.Image, kind: str, **options: object) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, kind, **options)
    return buffer.getvalue()


def small_files() -> dict[str, bytes]:
    """Return files by name, most of 24 x 20 pixels, with metadata if the format can hold them."""
    noise = np.random.default_rng(0).integers(0, 256, (20, 24, 4), np.uint8)
    rgb, rgba = Image.fromarray(noise[:, :, :3]), Image.fromarray(noise)
    frames = {"save_all": True, "append_images": [rgb.rotate(90), rgb.rotate(180)], "duration": 50}
    exif = Image.Exif()
    exif[271], exif[274], exif.get_ifd(0x8769)[0xA002] = "Maker", 6, 24
    described = {"exif": exif.tobytes(), "icc_profile": bytes(400), "xmp": b"<tiff:Orientation>6</tiff:Orientation>"}
    files = {
        "rgb.png": by_pillow(rgb, "PNG", exif=exif, icc_profile=bytes(400)),
        "rgba.png": by_pillow(rgba, "PNG", dpi=(72, 72)),
        "palette.png": by_pillow(rgb.quantize(16), "PNG", transparency=3),
        "moving.png": by_pillow(rgb, "PNG", **frames),
        "a.jpg": by_pillow(rgb, "JPEG", **described),
        "grey.jpg": by_pillow(rgb.convert("L"), "JPEG", progressive=True),
        "cmyk.jpg": by_pillow(rgb.convert("CMYK"), "JPEG"),
        "a.webp": by_pillow(rgba, "WEBP", **described),
        "lossless.webp": by_pillow(rgb, "WEBP", lossless=True),
        "moving.webp": by_pillow(rgb, "WEBP", **frames),
        "moving.gif": by_pillow(rgb, "GIF", **frames),
        "a.gif": by_pillow(rgb, "GIF"),
        "a.bmp": by_pillow(rgb, "BMP"),
        "palette.bmp": by_pillow(rgb.quantize(16), "BMP"),
        "a.jp2": by_pillow(rgb, "JPEG2000"),
        "a.ppm": by_pillow(rgb, "PPM"),
        "text.pgm": b"P2 # a comment\n24 20\n1000\n" + b" ".join(str(v).encode() for v in range(480)),
        "bilevel.pnm": by_pillow(rgb.convert("1"), "PPM"),
        "palette.tif": by_pillow(rgb.quantize(16), "TIFF"),
        "lzw.tif": by_pillow(rgba, "TIFF", compression="tiff_lzw", dpi=(72, 72)),
        "cmyk.tif": by_pillow(rgb.convert("CMYK"), "TIFF", compression="tiff_adobe_deflate"),
    }
    if ".avif" in WRITABLE_SUFFIXES:
        files["a.avif"] = by_pillow(rgba, "AVIF", speed=10, **described)
    deep = noise.astype(np.uint16) * 257
    files |= {f"deep.{kind}": cv2.imencode(f".{kind}", deep[:, :, :3])[1].tobytes() for kind in ("png", "ppm")}
    files["deep.jp2"] = cv2.imencode(".jp2", np.tile(deep[:, :, :3], (3, 3, 1)))[1].tobytes()  # needs 64 pixels a side
    tiles = {"tile": (16, 16), "compression": "zlib", "predictor": True, "metadata": None}
    for name, array, options in (
        ("tiled.tif", deep[:, :, :3], tiles),
        ("float.tif", noise[:, :, 0] / np.float32(255), {}),
    ):
        buffer = io.BytesIO()
        tifffile.imwrite(buffer, array, **options)
        files[name] = buffer.getvalue()
    return files


FILES = small_files()


@st.composite
def damaged(draw: st.DrawFn) -> tuple[str, bytes]:
    """Yield the name of a file and its bytes with one to eight changes, most of them in the head of the file."""
    name = draw(st.sampled_from(sorted(FILES)))
    content = bytearray(FILES[name])
    for _ in range(draw(st.integers(1, 8))):
        end = max(1, min(len(content), draw(st.sampled_from([32, 128, 512, 1 << 30]))))
        at = draw(st.integers(0, end - 1))
        length = draw(st.integers(1, 32))
        what = draw(st.sampled_from(["flip", "byte", "word", "cut", "remove", "repeat", "move"]))
        if what == "flip":
            content[at : at + 1] = bytes([content[at] ^ 1 << draw(st.integers(0, 7))]) if content else b""
        elif what == "byte":
            content[at : at + 1] = bytes([draw(st.integers(0, 255))])
        elif what == "word":
            word = draw(st.sampled_from(WORDS))
            content[at : at + len(word)] = word
        elif what == "cut":
            del content[max(at, len(content) // 2) :]
        elif what == "remove":
            del content[at : at + length]
        else:
            source = at if what == "repeat" else draw(st.integers(0, max(0, len(content) - 1)))
            content[at:at] = content[source : source + length]
    if name.endswith(".png") and draw(st.booleans()):
        content = with_right_sums(content)  # or hardly a change would get past them
    return name, bytes(content)


def with_right_sums(content: bytearray) -> bytearray:
    """Return the PNG with the checksums of its chunks recomputed."""
    at = 8
    while at + 12 <= len(content):
        end = at + 8 + int.from_bytes(content[at : at + 4], "big")
        if end + 4 > len(content):
            break
        content[end : end + 4] = zlib.crc32(content[at + 4 : end]).to_bytes(4, "big")
        at = end + 4
    return content


def is_whole(photo: Photo) -> bool:
    height, width, channels = photo.pixels.shape
    return (
        channels in (1, 3)
        and 0 < height * width <= MAX_PIXELS
        and photo.pixels.dtype in (np.uint8, np.uint16, np.float32)
        and (photo.alpha is None or (photo.alpha.shape, photo.alpha.dtype) == ((height, width), photo.pixels.dtype))
        and bool(np.isfinite(photo.pixels).all())
    )


@settings(
    max_examples=CASES, deadline=None, database=None, derandomize=CASES <= 150, suppress_health_check=list(HealthCheck)
)
@given(damaged())
def test_damaged_bytes_give_a_whole_photo_or_one_line(tmp_path_factory: pytest.TempPathFactory, file: tuple) -> None:
    path = tmp_path_factory.getbasetemp() / file[0]
    path.write_bytes(file[1])

    try:
        found = read_file(path, max_pixels=MAX_PIXELS)
    except (ImageError, MissingDependency) as error:
        assert str(error).startswith(str(path))
        assert "\n" not in str(error)
        return

    frames = found.frames if isinstance(found, Animation) else (found,)
    assert all(is_whole(frame) for frame in frames)
    again = path.with_name("again" + kept_suffix(found, path.suffix))
    write_image(again, found)
    assert type(read_file(again)) is type(found) or len(frames) > 1  # frames that are all equal become a still


@pytest.mark.parametrize("name", sorted(FILES))
def test_the_small_files_themselves_are_read(tmp_path: Path, name: str) -> None:
    (tmp_path / name).write_bytes(FILES[name])

    found = read_file(tmp_path / name, max_pixels=MAX_PIXELS)

    frames = found.frames if isinstance(found, Animation) else (found,)
    assert all(is_whole(frame) for frame in frames)
    assert isinstance(found, Animation) == name.startswith("moving")
