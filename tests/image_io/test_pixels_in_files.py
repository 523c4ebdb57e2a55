"""Written pixels are read back unchanged in every depth and format; files of other programs are read correctly."""

import struct
import tracemalloc
import zlib
from pathlib import Path

import cv2
import numpy as np
import pytest
import tifffile
from PIL import Image

from diffir.image_io import (
    WRITABLE_SUFFIXES,
    Animation,
    Photo,
    describe_losses,
    kept_suffix,
    read_file,
    read_image,
    write_image,
)
from diffir.image_io.png_write import encode_png


@pytest.mark.parametrize("suffix", [".png", ".bmp", ".tif"])
@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("has_alpha", [False, True])
@pytest.mark.parametrize("dtype", [np.uint8, np.uint16, np.float32])
def test_what_a_format_holds_comes_back_and_the_rest_is_told(
    tmp_path: Path, draw, suffix: str, channels: int, has_alpha: bool, dtype: type
) -> None:
    alpha = draw(13, 9, dtype=dtype) if has_alpha else None
    photo = Photo(draw(13, 9, channels, dtype=dtype), alpha)
    write_image(tmp_path / f"a.1{suffix}", photo)
    found = read_image(tmp_path / f"a.1{suffix}")

    if describe_losses(photo, suffix):
        assert (found.pixels.dtype != dtype) or (has_alpha and found.alpha is None)
        return
    assert np.array_equal(found.pixels, photo.pixels)
    assert (found.alpha is None) if alpha is None else np.array_equal(found.alpha, alpha)


@pytest.mark.parametrize("suffix", [".jpg", ".JPEG", ".webp", ".avif"])
@pytest.mark.parametrize("channels", [1, 3])
def test_lossy_formats_keep_red_red_and_grey_grey(tmp_path: Path, ramp, suffix: str, channels: int) -> None:
    if suffix not in (*WRITABLE_SUFFIXES, ".JPEG"):
        pytest.skip("Pillow without AVIF")
    write_image(tmp_path / f"a{suffix}", ramp[:, :, :channels])

    found = read_image(tmp_path / f"a{suffix}").pixels

    assert np.abs(found.astype(int) - ramp[:, :, :channels]).mean() < 2


@pytest.mark.parametrize("has_alpha", [False, True])
def test_a_lossless_webp_stays_lossless(tmp_path: Path, draw, has_alpha: bool) -> None:
    mode = "RGBA" if has_alpha else "RGB"
    Image.fromarray(draw(9, 13, len(mode))).save(tmp_path / "a.webp", lossless=True, exact=True)
    photo = read_image(tmp_path / "a.webp")

    write_image(tmp_path / "b.webp", photo)

    assert photo.lossless
    assert np.array_equal(read_image(tmp_path / "b.webp").pixels, photo.pixels)


def test_a_lossy_webp_is_not_taken_for_a_lossless_one(tmp_path: Path, ramp) -> None:
    write_image(tmp_path / "a.webp", ramp)

    assert not read_image(tmp_path / "a.webp").lossless


@pytest.mark.parametrize("mode", ["1", "L", "LA", "P", "PA", "RGBA", "CMYK", "I;16", "F"])
@pytest.mark.parametrize("compression", [None, "tiff_lzw", "packbits"])
def test_every_mode_of_tiff_becomes_grey_or_rgb(tmp_path: Path, ramp, mode: str, compression: str | None) -> None:
    own = {"I;16": ramp[:, :, 0].astype(np.uint16), "F": ramp[:, :, 0] / np.float32(255)}
    image = Image.fromarray(own[mode]) if mode in own else Image.fromarray(ramp).convert(mode)
    image.save(tmp_path / "a.tif", compression=compression)

    photo = read_image(tmp_path / "a.tif")

    grey = mode in ("1", "L", "LA", "I;16", "F")
    assert photo.pixels.shape == (64, 48, 1 if grey else 3)
    assert photo.pixels.dtype == {"I;16": np.uint16, "F": np.float32}.get(mode, np.uint8)
    assert (photo.alpha is not None) == (mode in ("LA", "PA", "RGBA"))
    assert mode in ("1", "P", "PA", "CMYK") or np.array_equal(
        photo.pixels[:, :, 0], np.asarray(image).reshape(64, 48, -1)[:, :, 0]
    )


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16, np.float32])
@pytest.mark.parametrize("channels", [1, 3, 4])
@pytest.mark.parametrize(
    "options",
    [
        {},
        {"tile": (16, 32)},
        {"planarconfig": "separate"},
        {"planarconfig": "separate", "tile": (16, 32), "compression": "zlib"},
        {"bigtiff": True, "compression": "zlib"},
        {"byteorder": ">", "compression": "zlib", "predictor": True},
        {"compression": "zlib", "predictor": True, "tile": (32, 16)},
        {"compression": "zlib", "rowsperstrip": 5},
    ],
    ids=str,
)
def test_tiffs_of_others_are_read_bit_for_bit(tmp_path: Path, draw, dtype: type, channels: int, options: dict) -> None:
    if dtype == np.float32:
        options = {key: value for key, value in options.items() if key != "predictor"}  # tifffile cannot write it
    planes = options.get("planarconfig") == "separate" and channels > 1
    array = draw(37, 53, channels, dtype=dtype)
    stored = np.moveaxis(array, 2, 0) if planes else array.squeeze()
    options = {key: value for key, value in options.items() if key != "planarconfig" or planes}
    kind = {"photometric": "rgb" if channels > 1 else "minisblack", "metadata": None}
    tifffile.imwrite(
        tmp_path / "a.tif", stored, extrasamples=["unassalpha"] if channels == 4 else None, **kind, **options
    )

    photo = read_image(tmp_path / "a.tif")

    assert np.array_equal(photo.pixels, array[:, :, : min(channels, 3)])
    assert (photo.alpha is None) if channels < 4 else np.array_equal(photo.alpha, array[:, :, 3])


@pytest.mark.parametrize("compression", [1, 5, 8, 32773])
@pytest.mark.parametrize(("dtype", "predictor"), [(np.uint8, 2), (np.uint16, 2), (np.float32, 1), (np.float32, 3)])
def test_packed_tiffs_need_no_extra_package(
    tmp_path: Path, draw, compression: int, dtype: type, predictor: int
) -> None:
    if compression == 32773 and predictor > 1:
        pytest.skip("no predictor goes with PackBits")
    array = draw(20, 31, 3, dtype=dtype)
    options = [cv2.IMWRITE_TIFF_COMPRESSION, compression, cv2.IMWRITE_TIFF_PREDICTOR, predictor]
    assert cv2.imwrite(str(tmp_path / "a.tif"), array[:, :, ::-1], options)

    assert np.array_equal(read_image(tmp_path / "a.tif").pixels, array)


def test_alpha_that_was_multiplied_into_the_colour_is_divided_out(tmp_path: Path) -> None:
    stored = np.full((4, 4, 4), 16384, np.uint16)
    stored[:, :, 3] = 32768
    tifffile.imwrite(tmp_path / "a.tif", stored, photometric="rgb", extrasamples=["assocalpha"], metadata=None)

    photo = read_image(tmp_path / "a.tif")

    assert photo.pixels.max() == photo.pixels.min() == 32768
    assert "multiplied with alpha" in photo.note


def test_a_tiff_whose_white_is_zero_is_turned_round(tmp_path: Path, draw) -> None:
    grey = draw(8, 9, dtype=np.uint16)
    tifffile.imwrite(tmp_path / "a.tif", 65535 - grey, photometric="miniswhite", metadata=None)

    assert np.array_equal(read_image(tmp_path / "a.tif").pixels[:, :, 0], grey)


@pytest.mark.parametrize(("colour_type", "channels"), [(0, 1), (2, 3)])
@pytest.mark.parametrize("bits", [8, 16])
def test_the_transparent_colour_of_a_png_becomes_alpha(
    tmp_path: Path, colour_type: int, channels: int, bits: int
) -> None:
    values = np.arange(6 * channels).reshape(2, 3, channels) + 10
    rows = b"".join(b"\0" + row.astype(f">u{bits // 8}").tobytes() for row in values)
    chunks = {
        b"IHDR": struct.pack(">IIBB3x", 3, 2, bits, colour_type),
        b"tRNS": values[1, 2].astype(">u2").tobytes(),
        b"IDAT": zlib.compress(rows),
        b"IEND": b"",
    }
    packed = [struct.pack(">I", len(c)) + k + c + struct.pack(">I", zlib.crc32(k + c)) for k, c in chunks.items()]
    (tmp_path / "a.png").write_bytes(b"\x89PNG\r\n\x1a\n" + b"".join(packed))

    photo = read_image(tmp_path / "a.png")

    assert np.array_equal(photo.pixels, values)
    assert photo.alpha is not None
    assert (photo.alpha == 0).sum() == 1
    assert photo.alpha[1, 2] == 0


def test_palette_transparency_becomes_alpha(tmp_path: Path, draw) -> None:
    Image.fromarray(draw(8, 8) % 4).convert("P").save(tmp_path / "a.png", transparency=0)

    assert read_image(tmp_path / "a.png").alpha is not None


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
@pytest.mark.parametrize("channels", [1, 3, 4])
def test_opencv_and_pillow_read_our_png_as_we_do(tmp_path: Path, draw, dtype: type, channels: int) -> None:
    array = draw(70, 51, channels, dtype=dtype)
    array[20:40] = array[20:21]  # rows that other filters than "none" pack best
    write_image(tmp_path / "a.png", Photo(array[:, :, : min(channels, 3)], array[:, :, 3] if channels == 4 else None))

    found = np.atleast_3d(cv2.imread(str(tmp_path / "a.png"), cv2.IMREAD_UNCHANGED))

    assert np.array_equal(found[:, :, {1: [0], 3: [2, 1, 0], 4: [2, 1, 0, 3]}[channels]], array)
    with Image.open(tmp_path / "a.png") as image:
        image.load()


@pytest.mark.parametrize("frames", [1, 3])
def test_a_png_of_many_chunks_is_read_by_all(tmp_path: Path, draw, monkeypatch, frames: int) -> None:
    monkeypatch.setattr("diffir.image_io.png_write._BLOCK", 16_000)
    photos = tuple(Photo(draw(120, 91, 3, dtype=np.uint16)) for _ in range(frames))
    write_image(tmp_path / "a.png", photos[0] if frames == 1 else Animation(photos, (50.0,) * frames))

    content = (tmp_path / "a.png").read_bytes()
    found = read_file(tmp_path / "a.png")

    assert content.count(b"IDAT") > 2
    assert (content.count(b"fdAT") > 4) == (frames > 1)
    assert np.array_equal(cv2.imread(str(tmp_path / "a.png"), cv2.IMREAD_UNCHANGED)[:, :, ::-1], photos[0].pixels)
    shift = 0 if frames == 1 else 8  # of frames, Pillow reads the upper bytes
    for photo, read in zip(photos, found.frames if isinstance(found, Animation) else [found], strict=True):
        assert np.array_equal(read.pixels, photo.pixels >> shift)


def test_writing_a_deep_png_takes_twice_its_size_and_no_more(draw, monkeypatch) -> None:
    monkeypatch.setattr("diffir.image_io.png_write._BLOCK", 2**15)  # the room for filters is that of a block
    photo = Photo(draw(600, 600, 3, dtype=np.uint16))
    tracemalloc.start()
    encode_png(photo)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()

    assert peak < 2.3 * photo.pixels.nbytes  # the packed rows, and the file they are joined to


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
def test_a_png_is_packed_at_a_level_that_does_not_take_long(ramp, dtype: type) -> None:
    content = encode_png(Photo(ramp.astype(dtype)))

    assert content[content.index(b"IDAT") + 5] >> 6 == 1  # RFC 1950: fast, neither fastest (0) nor the default (2)


@pytest.mark.parametrize("largest", [1, 200, 255, 1023, 65535])
@pytest.mark.parametrize("magic", [b"P2", b"P3", b"P5", b"P6"])
def test_the_largest_value_of_a_pnm_is_white(tmp_path: Path, magic: bytes, largest: int) -> None:
    channels = 3 if magic in (b"P3", b"P6") else 1
    values = np.array([0, largest] * channels)
    stored = values.astype(">u2" if largest > 255 else "u1").tobytes()
    text = " ".join(map(str, values)).encode() + b"\n"
    head = magic + b"\n# by hand\n2 1\n%d\n" % largest
    (tmp_path / "a.pnm").write_bytes(head + (text if magic in (b"P2", b"P3") else stored))

    pixels = read_image(tmp_path / "a.pnm").pixels

    assert pixels.shape == (1, 2, channels)
    assert pixels.max() == (65535 if largest > 255 else 255)
    assert pixels.min() == 0


def test_deep_ppm_and_jpeg2000_keep_their_depth(tmp_path: Path, draw) -> None:
    deep = draw(64, 80, 3, dtype=np.uint16)
    for name in ("a.ppm", "a.jp2"):
        options = [cv2.IMWRITE_JPEG2000_COMPRESSION_X1000, 1000] if name == "a.jp2" else []
        cv2.imwrite(str(tmp_path / name), deep[:, :, ::-1], options)
        photo = read_image(tmp_path / name)

        assert np.array_equal(photo.pixels, deep)
        assert kept_suffix(photo, Path(name).suffix) == ".png"


@pytest.mark.skipif(".avif" not in WRITABLE_SUFFIXES, reason="Pillow without AVIF")
def test_an_avif_of_more_bits_says_that_it_was_cut(tmp_path: Path, draw) -> None:
    for name, array in (("deep.avif", draw(64, 64, 3, dtype=np.uint16) >> 6), ("a.avif", draw(64, 64, 3))):
        depth = [cv2.IMWRITE_AVIF_DEPTH, 10] if name == "deep.avif" else []
        if not cv2.haveImageWriter(name) or not cv2.imwrite(str(tmp_path / name), array, depth):
            pytest.skip("OpenCV without AVIF")

    assert read_image(tmp_path / "deep.avif").note == "more than 8 bit read as 8 bit"
    assert read_image(tmp_path / "a.avif").note == ""


@pytest.mark.parametrize("suffix", WRITABLE_SUFFIXES)
def test_one_pixel_is_an_image(tmp_path: Path, suffix: str) -> None:
    write_image(tmp_path / f"a{suffix}", np.full((1, 1, 3), 200, np.uint8))

    assert np.abs(read_image(tmp_path / f"a{suffix}").pixels.astype(int) - 200).max() < 4


@pytest.mark.parametrize("name", ["a b.c.PNG", "東京 1.TIFF", "é.Jpg", "новая папка/x.webP", "..hidden.gif"])
def test_names_of_any_script_case_and_dots_are_fine(tmp_path: Path, ramp, name: str) -> None:
    write_image(tmp_path / name, ramp)

    assert read_image(tmp_path / name).pixels.shape == ramp.shape


def test_content_decides_not_the_name(tmp_path: Path, draw) -> None:
    pixels = draw(5, 6, 3)
    write_image(tmp_path / "a.png", pixels)
    for name in ("a.jpg", "a.heic", "a.dng", "a"):
        (tmp_path / "a.png").rename(tmp_path / name)

        assert np.array_equal(read_image(tmp_path / name).pixels, pixels)
        (tmp_path / name).rename(tmp_path / "a.png")
