"""Image files are recognised by suffix; results keep their format if it can hold them, or the losses are described."""

from pathlib import Path

import numpy as np
import pytest

from diffir.image_io import IMAGE_SUFFIXES, WRITABLE_SUFFIXES, Photo, describe_losses, kept_suffix, list_images
from diffir.image_io.formats import kind_of


def test_listing_takes_any_case_and_leaves_hidden_files_out(tmp_path: Path) -> None:
    for name in ("b.PNG", "a.Jpeg", ".hidden.png", "notes.txt", "x/c.tif", "d.HEIC"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).touch()

    assert [path.name for path in list_images(tmp_path)] == ["a.Jpeg", "b.PNG", "d.HEIC"]
    assert [path.name for path in list_images(tmp_path, recursive=True)] == ["a.Jpeg", "b.PNG", "d.HEIC", "c.tif"]


def test_what_can_be_written_can_be_listed() -> None:
    assert set(WRITABLE_SUFFIXES) < set(IMAGE_SUFFIXES)
    assert all(suffix == suffix.lower() for suffix in IMAGE_SUFFIXES)


@pytest.mark.parametrize(
    ("dtype", "has_alpha", "suffix", "kept"),
    [
        (np.uint8, False, ".jpg", ".jpg"),
        (np.uint8, False, ".JPG", ".JPG"),
        (np.uint8, False, ".jfif", ".jpg"),
        (np.uint8, True, ".jpg", ".png"),
        (np.uint16, False, ".jpg", ".png"),
        (np.uint8, True, ".webp", ".webp"),
        (np.uint16, True, ".webp", ".png"),
        (np.uint16, False, ".jp2", ".png"),
        (np.uint16, False, ".pnm", ".png"),
        (np.uint8, True, ".jp2", ".png"),
        (np.uint16, True, ".tif", ".tif"),
        (np.float32, False, ".tiff", ".tiff"),
        (np.float32, True, ".png", ".tif"),
        (np.uint8, True, ".bmp", ".png"),
        (np.uint8, False, ".gif", ".png"),
        (np.uint8, False, ".heic", ".png"),
        (np.uint16, False, ".nef", ".png"),
        (np.uint8, False, ".xyz", ".png"),
        (np.uint8, False, "", ".png"),
    ],
)
def test_a_result_keeps_its_format_where_that_holds_it(dtype: type, has_alpha: bool, suffix: str, kept: str) -> None:
    photo = Photo(np.zeros((4, 5, 3), dtype), np.zeros((4, 5), dtype) if has_alpha else None)

    assert kept_suffix(photo, suffix) == kept
    assert describe_losses(photo, kept) == ""


def test_a_result_too_large_for_its_format_changes_it() -> None:
    assert kept_suffix(Photo(np.zeros((1, 16384, 1), np.uint8)), ".webp") == ".png"


@pytest.mark.parametrize(
    ("suffix", "words"),
    [
        (".png", ""),
        (".tif", ""),
        (".jpg", "16 bit became 8 bit, alpha dropped"),
        (".webp", "16 bit became 8 bit, resolution dropped"),
        (".bmp", "16 bit became 8 bit, alpha dropped, ICC profile dropped, EXIF dropped, XMP dropped"),
    ],
)
def test_losses_are_named(suffix: str, words: str) -> None:
    deep = np.zeros((4, 5, 3), np.uint16)

    assert describe_losses(Photo(deep, deep[:, :, 0], bytes(300), b"II*\0", b"<x/>", (72, 72)), suffix) == words


@pytest.mark.parametrize(
    ("content", "suffix", "kind"),
    [
        (b"\0\0\0\x1cftypavif\0\0\0\0avifmif1", ".png", "AVIF"),
        (b"\0\0\0\x1cftypmif1\0\0\0\0mif1heic", ".jpg", "HEIF"),
        (b"\0\0\0\x1cftypisom\0\0\0\0isommp42", ".heic", ""),
        (b"II*\0" + bytes(20), ".nef", "RAW"),
        (b"II*\0" + bytes(20), ".tif", "TIFF"),
        (b"\xff\x0a\0\0", ".x", "JXL"),
        (b"P7\n", ".pnm", ""),
        (b"", ".png", ""),
    ],
)
def test_content_names_its_kind(content: bytes, suffix: str, kind: str) -> None:
    assert kind_of(content, suffix) == kind
