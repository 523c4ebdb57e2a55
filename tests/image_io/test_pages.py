"""Pages of a TIFF, each of its own size and kind, and a channel of infrared light are read and written."""

import struct
from pathlib import Path

import numpy as np
import pytest
import tifffile
from PIL import Image

from diffir.errors import ImageError
from diffir.image_io import Pages, Photo, describe_losses, kept_suffix, read_file, read_image, write_image

RNG = np.random.default_rng(0)


def pixels(*shape: int, dtype: type = np.uint8) -> np.ndarray:
    return RNG.integers(0, np.iinfo(dtype).max, shape).astype(dtype)


def exif(order: str, maker: bytes) -> bytes:
    """Return an EXIF block in one of the byte orders with a maker (271) and an exposure time of 1/250 s (33434)."""
    head = {"<": b"II*\0", ">": b"MM\0*"}[order] + struct.pack(order + "IH", 8, 2)
    maker_entry = struct.pack(order + "HHI", 271, 2, 4) + maker
    time_entry = struct.pack(order + "HHII", 33434, 5, 1, 8 + 2 + 24 + 4)
    return b"Exif\0\0" + head + maker_entry + time_entry + struct.pack(order + "III", 0, 1, 250)


def test_every_page_keeps_size_depth_alpha_and_metadata(tmp_path: Path) -> None:
    pages = Pages(
        (
            Photo(pixels(20, 30, 3), exif=exif("<", b"one\0"), xmp=b"<x/>", dpi=(300, 300)),
            Photo(pixels(9, 12, 1, dtype=np.uint16)),
            Photo(pixels(16, 16, 3), pixels(16, 16), exif=exif(">", b"two\0")),
        )
    )

    write_image(tmp_path / "a.tif", pages)
    found = read_file(tmp_path / "a.tif")

    assert isinstance(found, Pages)
    for page, expected in zip(found.frames, pages.frames, strict=True):
        assert np.array_equal(page.pixels, expected.pixels)
        assert page.pixels.dtype == expected.pixels.dtype
        assert (page.xmp, page.dpi) == (expected.xmp, expected.dpi)
    assert np.array_equal(found.frames[2].alpha, pages.frames[2].alpha)
    with tifffile.TiffFile(tmp_path / "a.tif") as file:
        tags = [page.tags for page in file.pages]
        assert [page[254].value for page in tags] == [2, 2, 2]
        assert (tags[0][271].value, tags[2][271].value) == ("one", "two")
        assert tags[2][33434].value == (1, 250)  # the byte order of this page's block was the other one


def test_pages_of_other_programs_and_codecs_are_read_one_by_one(tmp_path: Path) -> None:
    scans = [Image.fromarray(pixels(40, 32)).convert("1") for _ in range(3)]
    scans[0].save(tmp_path / "fax.tif", save_all=True, append_images=scans[1:], compression="group4")

    found = read_file(tmp_path / "fax.tif")

    assert isinstance(found, Pages)
    for page, scan in zip(found.frames, scans, strict=True):
        assert np.array_equal(page.pixels[:, :, 0] > 0, np.asarray(scan))


def test_previews_and_masks_are_no_pages(tmp_path: Path) -> None:
    with tifffile.TiffWriter(tmp_path / "a.tif") as writer:
        writer.write(pixels(20, 30, 3), photometric="rgb", metadata=None)
        writer.write(pixels(10, 15, 3), photometric="rgb", subfiletype=1, metadata=None)
        writer.write(pixels(20, 30) > 99, photometric="minisblack", subfiletype=4, metadata=None)

    assert isinstance(read_file(tmp_path / "a.tif"), Photo)


def test_the_limit_on_pixels_holds_for_all_pages_together(tmp_path: Path) -> None:
    write_image(tmp_path / "a.tif", Pages((Photo(pixels(20, 30, 3)), Photo(pixels(20, 30, 3)))))

    with pytest.raises(ImageError, match="2 pages of 1200 pixels are more than 1000; --max_pixels raises"):
        read_file(tmp_path / "a.tif", max_pixels=1000)


def test_formats_without_pages_say_so(tmp_path: Path) -> None:
    pages = Pages((Photo(pixels(8, 8, 3)), Photo(pixels(8, 8, 3))))

    assert kept_suffix(pages, ".tiff") == ".tiff"
    assert kept_suffix(pages, ".png") == ".tif"
    with pytest.raises(ImageError, match=r"PNG cannot hold 2 pages; \.tif can"):
        write_image(tmp_path / "a.png", pages)


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
@pytest.mark.parametrize("has_alpha", [False, True])
def test_the_infrared_channel_of_a_film_scan_is_kept(tmp_path: Path, dtype: type, has_alpha: bool) -> None:
    scan = pixels(20, 30, 4 + has_alpha, dtype=dtype)
    extras = ["unassalpha", "unspecified"] if has_alpha else ["unspecified"]
    tifffile.imwrite(tmp_path / "a.tif", scan, photometric="rgb", extrasamples=extras, metadata=None)

    photo = read_image(tmp_path / "a.tif")
    write_image(tmp_path / "b.tif", photo)

    assert photo.note == ""
    assert np.array_equal(photo.infrared, scan[:, :, -1])
    assert (photo.alpha is not None) == has_alpha
    written = tifffile.TiffFile(tmp_path / "b.tif").pages[0]
    assert np.array_equal(written.asarray(), scan)
    assert [int(kind) for kind in written.extrasamples] == ([2, 0] if has_alpha else [0])
    assert describe_losses(photo, ".png") == "infrared dropped"


def test_infrared_turns_with_its_photo(tmp_path: Path) -> None:
    scan = pixels(20, 30, 4)
    tag = (274, "H", 1, 6, True)  # orientation: turn by 90 degrees clockwise
    extra = {"extrasamples": ["unspecified"], "extratags": [tag], "metadata": None}
    tifffile.imwrite(tmp_path / "a.tif", scan, photometric="rgb", **extra)

    photo = read_image(tmp_path / "a.tif")

    assert np.array_equal(photo.infrared, np.rot90(scan[:, :, 3], -1))
