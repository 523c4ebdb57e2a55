"""Reading HEIC, JPEG XL and camera raw names the package it needs, and works if the package is installed."""

import io
import struct
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from diffir.errors import ImageError, MissingDependency
from diffir.image_io import kept_suffix, read_image

HEIC = b"\0\0\0\x18ftypheic\0\0\0\0mif1heic" + bytes(60)


@pytest.mark.parametrize(
    ("name", "content", "module", "message"),
    [
        (
            "a.heic",
            HEIC,
            "pillow_heif",
            r"reading HEIC and HEIF needs the package 'pillow-heif': .*pip install .* '\.\[heif\]'",
        ),
        (
            "a.jxl",
            b"\xff\x0a" + bytes(40),
            "pillow_jxl",
            r"needs the package 'pillow-jxl-plugin': .*pip install .* '\.\[jxl\]'",
        ),
        ("a.dng", b"II*\0" + bytes(60), "rawpy", r"needs the package 'rawpy': .*pip install .* '\.\[raw\]'"),
    ],
)
def test_a_missing_package_is_named_with_the_pip_line(
    tmp_path: Path, monkeypatch, name: str, content: bytes, module: str, message: str
) -> None:
    (tmp_path / name).write_bytes(content)
    monkeypatch.setitem(sys.modules, module, None)

    with pytest.raises(MissingDependency, match=rf"{name}: .*{message}"):
        read_image(tmp_path / name)


@pytest.mark.parametrize("bits", [8, 10])
@pytest.mark.parametrize("has_alpha", [False, True])
def test_heic_is_read_in_its_depth_with_metadata(tmp_path: Path, ramp, bits: int, has_alpha: bool) -> None:
    pillow_heif = pytest.importorskip("pillow_heif")
    array = np.dstack([ramp, ramp[:, :, 0]]) if has_alpha else ramp
    array = array if bits == 8 else array.astype(np.uint16) * 257
    mode = ("RGBA" if has_alpha else "RGB") + (";16" if bits == 10 else "")
    exif = Image.Exif()
    exif[271] = "Maker"
    heif = pillow_heif.from_bytes(mode, (48, 64), array.tobytes())
    heif.save(tmp_path / "a.heic", quality=-1, chroma=444, exif=exif.tobytes(), matrix_coefficients=0)

    photo = read_image(tmp_path / "a.heic")

    white = 255 if bits == 8 else 65535
    assert photo.pixels.dtype == array.dtype
    assert np.abs(photo.pixels.astype(int) - array[:, :, :3]).max() <= white / 128
    assert (photo.alpha is not None) == has_alpha
    assert photo.exif == exif.tobytes()
    assert kept_suffix(photo, ".heic") == ".png"
    with pytest.raises(ImageError, match="48 x 64 is more than 3071 pixels"):
        read_image(tmp_path / "a.heic", max_pixels=3071)


@pytest.mark.parametrize("mode", ["RGB", "RGBA", "L", "LA", "I;16"])
@pytest.mark.parametrize("has_boxes", [False, True])
@pytest.mark.parametrize("size", [(48, 64), (41, 33), (64, 64), (1000, 10)])
def test_jpeg_xl_is_read_bit_for_bit(tmp_path: Path, draw, mode: str, has_boxes: bool, size: tuple[int, int]) -> None:
    pytest.importorskip("pillow_jxl")
    import pillow_jxl.JpegXLImagePlugin  # noqa: F401 - teaches Pillow to write it

    array = draw(size[1], size[0], 4)
    image = Image.fromarray(array).convert(mode) if mode != "I;16" else Image.fromarray(array.view(np.uint16)[:, :, 0])
    image.save(tmp_path / "a.jxl", lossless=True, use_container=has_boxes, exif=b"Exif\0\0II*\0" + bytes(20))

    photo = read_image(tmp_path / "a.jxl", max_pixels=size[0] * size[1])

    found = photo.pixels if photo.alpha is None else np.dstack([photo.pixels, photo.alpha])
    assert np.array_equal(found.squeeze(), np.asarray(image))
    with pytest.raises(ImageError, match="is more than"):
        read_image(tmp_path / "a.jxl", max_pixels=size[0] * size[1] - 1)


def test_a_jpeg_inside_jpeg_xl_comes_back_as_that_jpeg(tmp_path: Path, ramp) -> None:
    pytest.importorskip("pillow_jxl")
    import pillow_jxl.JpegXLImagePlugin  # noqa: F401

    Image.fromarray(ramp).save(tmp_path / "a.jpg", quality=90)
    with Image.open(tmp_path / "a.jpg") as image:
        image.save(tmp_path / "a.jxl", lossless_jpeg=True)

    assert np.array_equal(read_image(tmp_path / "a.jxl").pixels, read_image(tmp_path / "a.jpg").pixels)


def small_dng(orientation: int = 1) -> bytes:
    """Return a camera raw file of 64 x 48 grey pixels in a mosaic of red, green, green and blue."""
    width, height = 64, 48
    rationals = struct.pack(
        "<18i", *(v for row in np.eye(3, dtype=int) * 10000 for number in row for v in (number, 10000))
    )
    mosaic = np.full((height, width), 20_000, "<u2").tobytes()
    values: dict[int, tuple[int, int, bytes]] = {
        254: (4, 1, struct.pack("<I", 0)),
        256: (4, 1, struct.pack("<I", width)),
        257: (4, 1, struct.pack("<I", height)),
        258: (3, 1, struct.pack("<H", 16)),
        259: (3, 1, struct.pack("<H", 1)),
        262: (3, 1, struct.pack("<H", 32803)),
        271: (2, 6, b"Maker\0"),
        272: (2, 6, b"Model\0"),
        273: (4, 1, b"mosa"),
        274: (3, 1, struct.pack("<H", orientation)),
        277: (3, 1, struct.pack("<H", 1)),
        278: (4, 1, struct.pack("<I", height)),
        279: (4, 1, struct.pack("<I", len(mosaic))),
        33421: (3, 2, struct.pack("<2H", 2, 2)),
        33422: (1, 4, bytes([0, 1, 1, 2])),
        50706: (1, 4, bytes([1, 4, 0, 0])),
        50708: (2, 6, b"Model\0"),
        50714: (4, 1, struct.pack("<I", 0)),
        50717: (4, 1, struct.pack("<I", 65535)),
        50721: (10, 9, rationals),
        50778: (3, 1, struct.pack("<H", 21)),
    }
    start = 8 + 2 + 12 * len(values) + 4
    behind = b"".join(value for _, _, value in values.values() if len(value) > 4)
    entries, at = b"", start
    for code, (kind, count, value) in values.items():
        value = struct.pack("<I", start + len(behind)) if value == b"mosa" else value
        place = value.ljust(4, b"\0") if len(value) <= 4 else struct.pack("<I", at)
        at += len(value) if len(value) > 4 else 0
        entries += struct.pack("<HHI", code, kind, count) + place
    return b"II*\0" + struct.pack("<IH", 8, len(values)) + entries + bytes(4) + behind + mosaic


@pytest.mark.parametrize("orientation", [1, 6])
def test_camera_raw_is_developed_to_16_bit_and_upright(tmp_path: Path, orientation: int) -> None:
    pytest.importorskip("rawpy")
    (tmp_path / "a.DNG").write_bytes(small_dng(orientation))

    photo = read_image(tmp_path / "a.DNG")

    assert photo.pixels.shape == ((48, 64, 3) if orientation == 1 else (64, 48, 3))
    assert photo.pixels.dtype == np.uint16
    assert photo.note.startswith("raw developed")
    exif = Image.Exif()
    exif.load(photo.exif)
    assert exif[272] == "Model"
    with pytest.raises(ImageError, match="is more than 3071 pixels"):
        read_image(tmp_path / "a.DNG", max_pixels=3071)


@pytest.mark.parametrize("name", ["a.dng", "a.heic", "a.jxl"])
def test_damage_is_one_line_here_too(tmp_path: Path, name: str) -> None:
    pytest.importorskip({"a.dng": "rawpy", "a.heic": "pillow_heif", "a.jxl": "pillow_jxl"}[name])
    content = {"a.dng": small_dng()[:300], "a.heic": HEIC, "a.jxl": b"\xff\x0a" + io.BytesIO(b"x" * 60).read()}[name]
    (tmp_path / name).write_bytes(content)

    with pytest.raises(ImageError, match=rf"{name}: "):
        read_image(tmp_path / name)
