"""Colours other than RGB are converted to sRGB through their profile; the photo's note states how, or what is lost."""

import struct
import zlib
from itertools import product
from pathlib import Path

import numpy as np
import pytest
import tifffile
from PIL import Image, ImageCms

from diffir.image_io import Photo, describe_losses, read_image, without_metadata, write_image


def cmyk_profile() -> bytes:
    """Return the profile of an imaginary printer (ICC.1:2001-04, 6.5.8, lut8Type)."""

    def fixed(*numbers: float) -> bytes:
        return struct.pack(f">{len(numbers)}i", *(round(number * 65536) for number in numbers))

    def lab(c: int, m: int, y: int, k: int) -> bytes:
        rest = 1 - k
        lightness = 255 * rest * (1 - 0.3 * (c + m + y))
        return bytes([int(lightness), 128 + 50 * rest * (m - c), 128 + 50 * rest * (y - m)])

    table = b"mft1" + bytes(4) + bytes([4, 3, 2, 0]) + fixed(1, 0, 0, 0, 1, 0, 0, 0, 1) + bytes(range(256)) * 4
    table += b"".join(lab(*inks) for inks in product((0, 1), repeat=4)) + bytes(range(256)) * 3
    white = b"XYZ " + bytes(4) + fixed(0.9642, 1, 0.8249)
    name = b"desc" + bytes(4) + struct.pack(">I", 5) + b"test\0" + bytes(78)
    text = b"text" + bytes(4) + b"none\0"
    entries, behind = b"", b""
    for tag, content in ((b"desc", name), (b"cprt", text), (b"wtpt", white), (b"A2B0", table)):
        entries += tag + struct.pack(">II", 128 + 4 + 48 + len(behind), len(content))
        behind += content + bytes(-len(content) % 4)
    body = struct.pack(">I", 4) + entries + behind
    head = struct.pack(">I4xI", 128 + len(body), 0x02400000) + b"prtrCMYKLab " + struct.pack(">6H", 2026, 1, 1, 0, 0, 0)
    return (head + b"acsp" + bytes(28) + fixed(0.9642, 1, 0.8249)).ljust(128, b"\0") + body


@pytest.mark.parametrize("name", ["a.jpg", "a.tif"])
def test_cmyk_without_a_profile_says_so(tmp_path: Path, ramp, name: str) -> None:
    inks = Image.fromarray(ramp).convert("CMYK")
    inks.save(tmp_path / name, **({"quality": 100} if name == "a.jpg" else {}))

    photo = read_image(tmp_path / name)

    assert photo.note == "CMYK converted to sRGB by a plain formula, as it has no profile"
    assert np.abs(photo.pixels.astype(int) - ramp).max() < 12


@pytest.mark.parametrize("name", ["a.jpg", "a.tif"])
def test_a_profile_that_is_none_falls_back_to_the_formula(tmp_path: Path, ramp, name: str) -> None:
    Image.fromarray(ramp).convert("CMYK").save(tmp_path / name, icc_profile=b"no profile" * 30)

    photo = read_image(tmp_path / name)

    assert photo.note.endswith("by a plain formula, its profile being unusable")
    assert photo.icc_profile is None


@pytest.mark.parametrize("name", ["a.jpg", "a.tif", "packed.tif"])
def test_cmyk_goes_through_its_profile(tmp_path: Path, name: str) -> None:
    inks = Image.new("CMYK", (32, 16), (0, 0, 0, 0))
    inks.paste((255, 0, 0, 0), (16, 0, 32, 16))
    options = {"packed.tif": {"compression": "tiff_lzw"}, "a.jpg": {"quality": 100}}.get(name, {})
    inks.save(tmp_path / name, icc_profile=cmyk_profile(), **options)

    photo = read_image(tmp_path / name)

    assert photo.note == "CMYK converted through its profile to sRGB"
    assert photo.icc_profile is None
    assert photo.pixels[:, :8].min() > 250
    cyan = photo.pixels[8, 24].astype(int)  # of the profile, not the plain formula's (0, 255, 255)
    assert abs(cyan - (0, 194, 170)).max() < 12


def test_ink_is_dark_in_jpegs_of_adobe_programs(tmp_path: Path) -> None:
    Image.new("CMYK", (16, 16), (0, 0, 0, 255)).save(tmp_path / "black.jpg", quality=100)
    Image.new("CMYK", (16, 16), (0, 0, 0, 0)).save(tmp_path / "white.jpg", quality=100)

    assert b"Adobe" in (tmp_path / "black.jpg").read_bytes()  # which stores ink turned round
    assert read_image(tmp_path / "black.jpg").pixels.max() < 8
    assert read_image(tmp_path / "white.jpg").pixels.min() > 247


def test_16_bit_cmyk_becomes_8_bit_rgb_and_says_so(tmp_path: Path) -> None:
    inks = np.zeros((8, 8, 4), np.uint16)
    inks[:, 4:, 3] = 65535
    tifffile.imwrite(tmp_path / "a.tif", inks, photometric="separated", metadata=None)

    photo = read_image(tmp_path / "a.tif")

    assert "16 bit became 8 bit" in photo.note
    assert (photo.pixels[:, :4] == 255).all()
    assert (photo.pixels[:, 4:] == 0).all()


def test_lab_becomes_srgb(tmp_path: Path, ramp) -> None:
    lab = ImageCms.createProfile("LAB")
    converted = ImageCms.profileToProfile(Image.fromarray(ramp), ImageCms.createProfile("sRGB"), lab, outputMode="LAB")
    converted.save(tmp_path / "a.tif")

    photo = read_image(tmp_path / "a.tif")

    assert photo.note == "Lab converted to sRGB"
    assert photo.icc_profile is None
    assert np.abs(photo.pixels.astype(int) - ramp).mean() < 3


def test_ycbcr_becomes_rgb(tmp_path: Path, ramp) -> None:
    Image.fromarray(ramp).convert("YCbCr").save(tmp_path / "a.tif")
    try:
        Image.open(tmp_path / "a.tif").load()
    except OSError:
        pytest.skip("Pillow 12 does not read the file it has just written")

    photo = read_image(tmp_path / "a.tif")

    assert photo.note == "YCbCr converted to RGB"
    assert np.abs(photo.pixels.astype(int) - ramp).max() < 4


def test_a_wide_gamut_profile_stays_with_its_pixels(tmp_path: Path, ramp) -> None:
    wide = bytes(16) + b"RGB XYZ " + bytes(300)
    Image.fromarray(ramp).save(tmp_path / "a.png", icc_profile=wide)

    photo = read_image(tmp_path / "a.png")
    write_image(tmp_path / "b.tif", photo)

    assert np.array_equal(photo.pixels, ramp)
    assert read_image(tmp_path / "b.tif").icc_profile == wide


SRGB_POINTS = (31270, 32900, 64000, 33000, 30000, 60000, 15000, 6000)
WIDE_POINTS = (31270, 32900, 64000, 33000, 21000, 71000, 15000, 6000)


@pytest.mark.parametrize(
    ("gamma", "points", "others", "lost"),
    [
        (45455, SRGB_POINTS, {}, ""),
        (45000, (31269, 32899, 63999, 33001, 30000, 60000, 15000, 5999), {}, ""),
        (100000, SRGB_POINTS, {}, "gAMA"),
        (55556, None, {}, "gAMA"),
        (45455, WIDE_POINTS, {}, "cHRM"),
        (100000, WIDE_POINTS, {}, "gAMA and cHRM"),
        (100000, WIDE_POINTS, {b"sRGB": b"\0"}, ""),
        (100000, WIDE_POINTS, {b"iCCP": b"wide\0\0" + zlib.compress(bytes(300))}, ""),
        (100000, WIDE_POINTS, {b"cICP": bytes([9, 16, 0, 1]), b"cLLI": bytes(8), b"mDCV": bytes(24)}, "cICP"),
        (100000, None, {b"cICP": bytes([1, 13, 0, 1])}, ""),
        (0, None, {}, ""),
    ],
)
def test_a_png_keeps_the_chunks_of_its_colours_and_other_formats_say_which_they_lose(
    tmp_path: Path, ramp, gamma: int, points: tuple[int, ...] | None, others: dict[bytes, bytes], lost: str
) -> None:
    write_image(tmp_path / "a.png", ramp)
    content = (tmp_path / "a.png").read_bytes()
    chunks = {**others, b"gAMA": struct.pack(">I", gamma)} | ({b"cHRM": struct.pack(">8I", *points)} if points else {})
    added = b"".join(
        struct.pack(">I", len(c)) + k + c + struct.pack(">I", zlib.crc32(k + c)) for k, c in chunks.items()
    )
    (tmp_path / "a.png").write_bytes(content[:33] + added + content[33:])

    photo = read_image(tmp_path / "a.png")
    write_image(tmp_path / "b.png", without_metadata(photo))

    written = (tmp_path / "b.png").read_bytes()
    for kind, chunk in chunks.items():
        assert kind == b"iCCP" or kind + chunk in written[: written.index(b"IDAT")]
    said = describe_losses(photo, ".jpg").partition("colour space other than sRGB ")[2]
    assert said == (f"({lost}) dropped" if lost else "")
    assert np.array_equal(photo.pixels, ramp)


def test_a_colour_chunk_of_a_wrong_length_is_not_kept(tmp_path: Path, ramp) -> None:
    write_image(tmp_path / "a.png", Photo(ramp, colour_chunks={"cICP": b"\x09"}))

    assert read_image(tmp_path / "a.png").colour_chunks is None
