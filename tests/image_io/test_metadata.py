"""Profiles, EXIF, XMP and resolution are kept; only entries that the new pixels make wrong are changed."""

import struct
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import tifffile
from PIL import Image, ImageCms, ImageOps
from PIL.PngImagePlugin import PngInfo

from diffir.image_io import WRITABLE_SUFFIXES, Photo, describe_losses, read_image, without_metadata, write_image
from diffir.image_io.metadata import EXIF_PREFIX, sized_exif, upright_exif

XMP = b'<x:xmpmeta><rdf:Description tiff:Orientation="1" dc:title="\xc3\xa9"/></x:xmpmeta>'
SUFFIXES = [
    suffix for suffix in (".png", ".jpg", ".webp", ".tif", ".avif", ".bmp", ".gif") if suffix in WRITABLE_SUFFIXES
]


def exif_block(order: str = "<", orientation: int = 1, thumbnail: bytes = b"") -> bytes:
    """Build EXIF with make, orientation, a description of odd length, a width, and perhaps a thumbnail."""

    def entry(tag: int, kind: int, count: int, value: int) -> bytes:
        packed = struct.pack(order + "HHI", tag, kind, count)
        return packed + (struct.pack(order + "H2x", value) if kind == 3 else struct.pack(order + "I", value))

    first = [entry(270, 2, 7, 74), entry(271, 2, 6, 82), entry(274, 3, 1, orientation), entry(34665, 4, 1, 88)]
    first += [entry(306, 2, 20, 106)]
    second = [entry(513, 4, 1, 160), entry(514, 4, 1, len(thumbnail))]
    head = (b"II*\0" if order == "<" else b"MM\0*") + struct.pack(order + "I", 8)
    body = head + struct.pack(order + "H", 5) + b"".join(first) + struct.pack(order + "I", 126 if thumbnail else 0)
    body = body.ljust(74, b"\0") + b"A photo\0Maker\0" + struct.pack(order + "H", 1) + entry(0xA002, 3, 1, 9) + bytes(4)
    body = body.ljust(106, b"\0") + b"2026:01:01 00:00:00\0"
    if thumbnail:
        body += struct.pack(order + "H", 2) + b"".join(second) + bytes(4)
        body = body.ljust(160, b"\0") + thumbnail
    return EXIF_PREFIX + body


def all_tags(block: bytes) -> dict[int, object]:
    """Return all values except the orientation, which must be 1 or missing, and the offsets of directories."""
    assert block.startswith(b"Exif\0\0")
    exif = Image.Exif()
    exif.load(block)
    tags = {**exif, **exif.get_ifd(34665)}
    return {code: value for code, value in tags.items() if code not in (274, 34665)}


@pytest.mark.parametrize("suffix", SUFFIXES)
@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("order", ["<", ">"])
def test_metadata_are_kept_byte_for_byte_or_their_loss_is_described(
    tmp_path: Path, draw, suffix: str, dtype: type, channels: int, order: str
) -> None:
    photo = Photo(
        draw(9, 9, channels, dtype=dtype), None, bytes(range(256)) * 3, exif_block(order), XMP, (300.0, 150.0)
    )
    write_image(tmp_path / f"a{suffix}", photo)
    found, losses = read_image(tmp_path / f"a{suffix}"), describe_losses(photo, suffix.upper())

    for name, words in {"icc_profile": "ICC profile", "exif": "EXIF", "xmp": "XMP", "dpi": "resolution"}.items():
        assert (getattr(found, name) is None) == (f"{words} dropped" in losses), name
    assert found.icc_profile in (None, photo.icc_profile)
    assert found.xmp in (None, photo.xmp)
    assert found.dpi is None or found.dpi == pytest.approx(photo.dpi, abs=0.02)
    if suffix in (".tif", ".avif"):  # both build the block anew
        assert all_tags(found.exif) == all_tags(photo.exif)
    else:
        assert found.exif in (None, photo.exif)


@pytest.mark.parametrize("suffix", [".png", ".jpg", ".webp", ".tif"])
@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("order", ["<", ">"])
def test_photos_come_out_upright_and_stay_so(tmp_path: Path, ramp, suffix: str, orientation: int, order: str) -> None:
    kind = {".jpg": "JPEG", ".tif": "TIFF"}.get(suffix, suffix[1:].upper())
    exif = exif_block(order, orientation)
    options = {"tiffinfo": {274: orientation}} if kind == "TIFF" else {"exif": exif, "lossless": True, "quality": 95}
    Image.fromarray(ramp).save(tmp_path / "turned", kind, **options)

    photo = read_image(tmp_path / "turned")
    write_image(tmp_path / f"upright{suffix}", photo)

    with Image.open(tmp_path / "turned") as turned, Image.open(tmp_path / f"upright{suffix}") as upright:
        assert np.array_equal(photo.pixels, ImageOps.exif_transpose(turned))
        assert upright.getexif().get(274, 1) == 1
        assert upright.size == photo.pixels.shape[1::-1]
    assert kind == "TIFF" or photo.exif == exif_block(order)


@pytest.mark.skipif(".avif" not in WRITABLE_SUFFIXES, reason="Pillow without AVIF")
@pytest.mark.parametrize("orientation", range(1, 9))
def test_avif_is_turned_upright_once(tmp_path: Path, ramp, orientation: int) -> None:
    Image.fromarray(ramp).save(tmp_path / "a.avif", exif=exif_block("<", orientation), quality=100, subsampling="4:4:4")

    photo = read_image(tmp_path / "a.avif")
    write_image(tmp_path / "b.avif", photo, quality=100)

    with Image.open(tmp_path / "a.avif") as turned:
        assert np.array_equal(photo.pixels, ImageOps.exif_transpose(turned))
    again = read_image(tmp_path / "b.avif").pixels.astype(int)
    assert np.abs(again - photo.pixels).mean() < 4


@pytest.mark.parametrize("channels", [1, 3, 4])
def test_a_deep_png_is_turned_too(tmp_path: Path, draw, channels: int) -> None:
    deep = draw(5, 8, channels, dtype=np.uint16)
    photo = Photo(deep[:, :, : min(channels, 3)], deep[:, :, 3] if channels == 4 else None, exif=exif_block(">", 6))
    write_image(tmp_path / "turned.png", photo)

    found = read_image(tmp_path / "turned.png")

    assert np.array_equal(found.pixels, np.rot90(photo.pixels, -1))
    assert photo.alpha is None or np.array_equal(found.alpha, np.rot90(photo.alpha, -1))


def test_an_orientation_that_xmp_alone_names_is_followed_and_reset(tmp_path: Path, ramp) -> None:
    Image.fromarray(ramp).save(tmp_path / "a.jpg", xmp=b'<x tiff:Orientation="6"/>')

    photo = read_image(tmp_path / "a.jpg")

    assert photo.pixels.shape == (48, 64, 3)
    assert photo.xmp == b'<x tiff:Orientation="1"/>'


@pytest.mark.parametrize("order", ["<", ">"])
def test_only_the_orientation_of_an_exif_block_changes(order: str) -> None:
    orientation, upright = upright_exif(exif_block(order, 8))

    assert orientation == 8
    assert upright == exif_block(order, 1)


@pytest.mark.parametrize("order", ["<", ">"])
def test_a_thumbnail_of_the_old_picture_is_taken_out(order: str) -> None:
    old = b"\xff\xd8 the face that inpainting removed \xff\xd9"

    _, upright = upright_exif(exif_block(order, 3, thumbnail=old))

    assert upright is not None
    assert b"face" not in upright
    exif = Image.Exif()
    exif.load(upright)
    assert exif[271] == "Maker"
    assert upright[6 + 70 : 6 + 74] == bytes(4)  # the place of the second directory


@pytest.mark.parametrize(("width", "kind"), [(36, 3), (70_000, 4)])
@pytest.mark.parametrize("order", ["<", ">"])
def test_exif_names_the_size_of_the_picture_it_goes_with(width: int, kind: int, order: str) -> None:
    exif = Image.Exif()
    exif.load(sized_exif(exif_block(order), width, 20))

    assert exif.get_ifd(34665)[0xA002] == width


@pytest.mark.parametrize("suffix", [".png", ".jpg", ".webp", ".tif"])
def test_a_block_without_its_prefix_is_written_like_one_with_it(tmp_path: Path, ramp, suffix: str) -> None:
    for name, exif in (("with", exif_block()), ("without", exif_block().removeprefix(b"Exif\0\0"))):
        write_image(tmp_path / f"{name}{suffix}", Photo(ramp, exif=exif))

    assert (tmp_path / f"with{suffix}").read_bytes() == (tmp_path / f"without{suffix}").read_bytes()
    found = read_image(tmp_path / f"without{suffix}").exif
    assert found is not None
    assert found.startswith(b"Exif\0\0")


@pytest.mark.parametrize("cut", [6, 10, 20, 40, 80, 100])
def test_a_broken_exif_block_is_no_reason_to_refuse_a_photo(tmp_path: Path, ramp, cut: int) -> None:
    Image.fromarray(ramp).save(tmp_path / "a.png", exif=exif_block()[:cut] + b"\xff" * 30)

    photo = read_image(tmp_path / "a.png")
    write_image(tmp_path / "b.jpg", photo)
    write_image(tmp_path / "b.tif", photo)

    assert np.array_equal(photo.pixels, ramp)


def test_an_orientation_in_words_is_none(tmp_path: Path, ramp) -> None:
    in_words = b"Exif\0\0MM\0*\0\0\0\x08\0\x01" + b"\x01\x12\0\x02\0\0\0\x04abc\0" + bytes(4)
    Image.fromarray(ramp).save(tmp_path / "a.png", exif=in_words)

    assert np.array_equal(read_image(tmp_path / "a.png").pixels, ramp)


def test_what_is_too_long_for_jpeg_is_told_and_kept_by_others(tmp_path: Path, ramp) -> None:
    exif = exif_block() + bytes(70_000)
    photo = Photo(ramp, exif=exif, xmp=b"x" * 70_000, icc_profile=bytes(200_000))

    for suffix in (".jpg", ".png", ".webp"):
        write_image(tmp_path / f"a{suffix}", photo)
        found = read_image(tmp_path / f"a{suffix}")
        assert found.icc_profile == photo.icc_profile
        assert (found.exif, found.xmp) == ((None, None) if suffix == ".jpg" else (sized_exif(exif, 48, 64), photo.xmp))
    losses = "EXIF dropped (longer than 65533 bytes), XMP dropped (longer than 65504 bytes)"
    assert describe_losses(photo, ".jpg") == losses


def test_tiff_keeps_exif_directories_of_png_and_gives_them_back(tmp_path: Path, ramp) -> None:
    exif = Image.Exif()
    exif[271], exif[305] = "Maker", "Program"
    exif.get_ifd(34665).update({0x829A: 0.25, 0x9003: "2026:01:01 00:00:00"})
    exif.get_ifd(34853).update({1: "N", 2: (48.0, 51.0, 30.0)})
    write_image(tmp_path / "a.tif", Photo(ramp, exif=exif.tobytes()))
    write_image(tmp_path / "b.png", read_image(tmp_path / "a.tif"))

    for name in ("a.tif", "b.png"):
        with Image.open(tmp_path / name) as image:
            found = image.getexif()
            assert (found[271], found[305]) == ("Maker", "Program")
            assert found.get_ifd(34665)[0x829A] == 0.25
            assert found.get_ifd(34853)[2] == (48.0, 51.0, 30.0)
            assert np.array_equal(image, ramp)


def test_a_profile_of_another_kind_of_colour_is_not_written(tmp_path: Path, ramp) -> None:
    grey_profile = bytes(16) + b"GRAY" + bytes(200)
    photo = Photo(ramp, icc_profile=grey_profile)
    write_image(tmp_path / "a.png", photo)

    assert read_image(tmp_path / "a.png").icc_profile is None
    assert describe_losses(photo, ".png") == "ICC profile dropped (of another kind of colour)"
    assert describe_losses(replace(photo, pixels=ramp[:, :, :1]), ".png") == ""


def test_stripping_keeps_a_profile_that_colours_need() -> None:
    srgb = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    wide = srgb.replace(b"sRGB", b"wide").replace("sRGB".encode("utf-16-be"), "wide".encode("utf-16-be"))
    photo = Photo(np.zeros((2, 2, 3), np.uint8), None, srgb, exif_block(), XMP, (72, 72))

    stripped = without_metadata(photo)

    assert (stripped.icc_profile, stripped.exif, stripped.xmp, stripped.dpi) == (None, None, None, None)
    assert without_metadata(replace(photo, icc_profile=wide)).icc_profile == wide


def test_exif_that_imagemagick_hid_in_a_text_is_found(tmp_path: Path, ramp) -> None:
    from PIL.PngImagePlugin import PngInfo

    texts = PngInfo()
    block = exif_block("<", 6)
    texts.add_text("Raw profile type exif", f"\nexif\n{len(block)}\n{block.hex()}\n", zip=True)
    Image.fromarray(ramp).save(tmp_path / "a.png", pnginfo=texts)

    assert read_image(tmp_path / "a.png").pixels.shape == (48, 64, 3)


def test_an_odd_text_does_not_stop_a_png(tmp_path: Path, ramp) -> None:
    from PIL.PngImagePlugin import PngInfo

    texts = PngInfo()
    texts.add_text("Comment", "a" * 3_000_000, zip=True)  # Pillow itself refuses texts above a million letters
    Image.fromarray(ramp).save(tmp_path / "a.png", pnginfo=texts)

    assert np.array_equal(read_image(tmp_path / "a.png").pixels, ramp)


def test_what_is_kept_nowhere_is_told(tmp_path: Path) -> None:
    rgb = Image.new("RGB", (8, 8))
    texts = PngInfo()
    texts.add_text("Title", "a title")
    rgb.save(tmp_path / "a.png", pnginfo=texts)
    block = b"Photoshop 3.0\x008BIM\x04\x04\x00\x00\x00\x00\x00\x00"
    rgb.save(tmp_path / "a.jpg", comment="a comment", extra=b"\xff\xed" + struct.pack(">H", len(block) + 2) + block)
    tifffile.imwrite(
        tmp_path / "a.tif", np.zeros((8, 8), np.uint8), extratags=[(33723, 7, 4, b"\x1c\x02\x00\x00", True)]
    )

    notes = {suffix: read_image(tmp_path / f"a{suffix}").note for suffix in (".png", ".jpg", ".tif")}

    assert notes == {".png": "texts left out", ".jpg": "IPTC left out, comment left out", ".tif": "IPTC left out"}
