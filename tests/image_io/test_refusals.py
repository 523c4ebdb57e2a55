"""Files that hold no photo are refused with one line, writing leaves no partial file, and decoders print nothing."""

import os
from pathlib import Path

import numpy as np
import pytest
import tifffile
from PIL import Image

from diffir.errors import ImageError, UsageError
from diffir.image_io import Photo, read_file, read_image, write_image


@pytest.mark.parametrize("suffix", [".png", ".jpg", ".webp", ".bmp", ".tif", ".gif"])
@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
def test_a_truncated_file_is_refused(tmp_path: Path, draw, suffix: str, dtype: type) -> None:
    path = tmp_path / f"a{suffix}"
    write_image(path, draw(64, 64, 3, dtype=dtype))
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])

    with pytest.raises(ImageError, match=rf"a{suffix}: damaged or truncated"):
        read_image(path)


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("no.png", None, "no such file"),
        ("zero.png", b"", "is empty"),
        ("text.png", b"hello" * 9, "not an image"),
        ("page.eps", b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n", "not an image"),
        ("archive.zip", b"PK\3\4" + bytes(90), "not an image"),
        ("cut.png", b"\x89PNG\r\n\x1a\n", "damaged or truncated"),
        ("raw.cr2", b"II*\0" + bytes(60), "raw|rawpy"),
    ],
)
def test_what_is_no_photo_is_refused_in_one_line(
    tmp_path: Path, name: str, content: bytes | None, message: str
) -> None:
    if content is not None:
        (tmp_path / name).write_bytes(content)

    with pytest.raises(Exception, match=message) as caught:
        read_file(tmp_path / name)

    assert "\n" not in str(caught.value)
    assert name in str(caught.value)


@pytest.mark.parametrize("name", ["a.gif", "a.bmp", "a.jp2", "a.avif", "a.tif", "a.jpg"])
def test_no_message_names_an_object_in_memory(tmp_path: Path, name: str) -> None:
    beginnings = {"gif": b"GIF89a\1", "bmp": b"BM" + bytes(9), "jp2": b"\xff\x4f\xff\x51", "tif": b"II*\0\x08\0\0\0"}
    beginnings |= {"avif": b"\0\0\0\x14ftypavif" + bytes(9), "jpg": b"\xff\xd8\xff\xe0" + bytes(9)}
    (tmp_path / name).write_bytes(beginnings[name.rpartition(".")[2]])

    with pytest.raises(ImageError, match=rf"{name}: damaged or truncated \(\w") as caught:
        read_file(tmp_path / name)

    assert "object at 0x" not in str(caught.value)


def test_a_folder_is_no_image(tmp_path: Path) -> None:
    with pytest.raises(ImageError, match="a folder, not an image"):
        read_image(tmp_path)


def test_a_file_that_may_not_be_read_says_so(tmp_path: Path, ramp) -> None:
    write_image(tmp_path / "a.png", ramp)
    (tmp_path / "a.png").chmod(0)
    try:
        (tmp_path / "a.png").read_bytes()
    except PermissionError:
        with pytest.raises(ImageError, match=r"a\.png: cannot be read \(Permission denied\)"):
            read_image(tmp_path / "a.png")
    else:
        pytest.skip("this user may read everything")


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_floats_that_are_no_numbers_are_refused(tmp_path: Path, draw, value: float) -> None:
    array = draw(8, 8, dtype=np.float32)
    array[3, 4] = value
    tifffile.imwrite(tmp_path / "a.tif", array, metadata=None)

    with pytest.raises(ImageError, match=r"a\.tif: pixels that are no numbers"):
        read_image(tmp_path / "a.tif")


def test_a_tiff_of_pages_is_no_single_image_but_one_with_a_preview_is(tmp_path: Path, draw) -> None:
    pages = draw(3, 8, 8)
    tifffile.imwrite(tmp_path / "a.tif", pages, photometric="minisblack", metadata=None)
    with tifffile.TiffWriter(tmp_path / "b.tif") as writer:
        writer.write(pages[0], metadata=None)
        writer.write(pages[1, ::2, ::2], subfiletype=1, metadata=None)

    with pytest.raises(ImageError, match="a TIFF of 3 pages; only single images can be used here"):
        read_image(tmp_path / "a.tif")
    assert read_image(tmp_path / "b.tif").note == ""


def test_decoders_are_silent(tmp_path: Path, draw, capfd, caplog) -> None:
    for name, array in (("a.tif", draw(64, 64, 3, dtype=np.uint16)), ("a.png", draw(64, 64, 3, dtype=np.uint16))):
        write_image(tmp_path / name, array)
        content = bytearray((tmp_path / name).read_bytes())
        content[len(content) // 2 : len(content) // 2 + 99] = bytes(99)
        (tmp_path / name).write_bytes(content)
        with pytest.raises(ImageError):
            read_image(tmp_path / name)

    assert capfd.readouterr() == ("", "")
    assert caplog.text == ""


def test_a_full_disk_leaves_the_old_file_and_no_other(tmp_path: Path, ramp, draw) -> None:
    resource = pytest.importorskip("resource")
    write_image(tmp_path / "a.png", ramp)
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)

    resource.setrlimit(resource.RLIMIT_FSIZE, (1000, hard))
    try:
        with pytest.raises(ImageError, match=r"a\.png: cannot be written"):
            write_image(tmp_path / "a.png", draw(64, 64, 3))
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))

    assert [path.name for path in tmp_path.iterdir()] == ["a.png"]
    assert np.array_equal(read_image(tmp_path / "a.png").pixels, ramp)


def test_a_target_that_is_a_folder_is_refused_and_leaves_nothing(tmp_path: Path, ramp) -> None:
    (tmp_path / "b.png").mkdir()

    with pytest.raises(ImageError, match=r"b\.png: cannot be written"):
        write_image(tmp_path / "b.png", ramp)

    assert [path.name for path in tmp_path.iterdir()] == ["b.png"]


@pytest.mark.parametrize("shape", [(4, 4, 7), (0, 4, 3)])
def test_an_array_that_is_no_image_is_not_written(tmp_path: Path, shape: tuple[int, ...]) -> None:
    with pytest.raises(ImageError, match="1 or 3 channels"):
        write_image(tmp_path / "a.png", np.zeros(shape, np.uint8))


def test_alpha_of_another_size_is_not_written(tmp_path: Path, draw) -> None:
    with pytest.raises(ImageError, match="alpha has the size of the pixels"):
        write_image(tmp_path / "a.png", Photo(draw(4, 4, 3), draw(4, 5)))


@pytest.mark.parametrize("quality", [0, 101, -5])
def test_a_quality_out_of_range_is_refused(tmp_path: Path, ramp, quality: int) -> None:
    with pytest.raises(UsageError, match=f"quality must be from 1 .* to 100 .*, got {quality}"):
        write_image(tmp_path / "a.jpg", ramp, quality=quality)


def test_quality_decides_size_and_colour_resolution(tmp_path: Path, ramp) -> None:
    for quality in (50, 89, 90, 100):
        write_image(tmp_path / f"{quality}.jpg", ramp, quality=quality)

    assert (tmp_path / "50.jpg").stat().st_size < (tmp_path / "100.jpg").stat().st_size
    for quality, sampling in ((89, 2), (90, 1)):
        with Image.open(tmp_path / f"{quality}.jpg") as image:
            assert image.layer[0][1] == sampling


def test_an_unknown_suffix_lists_the_known_ones(tmp_path: Path, ramp) -> None:
    with pytest.raises(ImageError, match=r"cannot write \.xyz; can: \.png"):
        write_image(tmp_path / "a.xyz", ramp)


@pytest.mark.parametrize(("suffix", "largest"), [(".webp", 16383), (".jpg", 65500)])
def test_more_pixels_a_side_than_a_format_has_is_one_line(tmp_path: Path, suffix: str, largest: int) -> None:
    with pytest.raises(ImageError, match=f"holds at most {largest} pixels per side, not {largest + 1}; use .png"):
        write_image(tmp_path / f"a{suffix}", np.zeros((1, largest + 1, 1), np.uint8))


def test_floats_far_outside_0_to_1_are_refused_with_their_range_not_turned_white(tmp_path: Path) -> None:
    tifffile.imwrite(tmp_path / "a.tif", np.linspace(0, 255, 64, dtype=np.float32).reshape(8, 8))

    with pytest.raises(ImageError, match="pixels from 0 to 255, but white is 1"):
        read_image(tmp_path / "a.tif")


def test_noise_a_little_outside_0_to_1_is_read_as_it_is(tmp_path: Path) -> None:
    noisy = np.linspace(-0.4, 1.4, 64, dtype=np.float32).reshape(8, 8)
    tifffile.imwrite(tmp_path / "a.tif", noisy)

    assert np.array_equal(read_image(tmp_path / "a.tif").pixels[:, :, 0], noisy)


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="needs POSIX")
def test_a_pipe_is_refused_instead_of_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "a.png")

    with pytest.raises(ImageError, match="a pipe or a device"):
        read_image(tmp_path / "a.png")
