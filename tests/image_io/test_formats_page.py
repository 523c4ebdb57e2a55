"""The table of formats in docs/formats.md is true: what a format keeps is read back, what it loses is described."""

import re
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import PIL
import pytest
from PIL import Image, ImageCms

from diffir.image_io import WRITABLE_SUFFIXES, Animation, Photo, describe_losses, read_file, write_image

PAGE = (Path(__file__).resolve().parents[2] / "docs/formats.md").read_text("utf-8")
SUFFIX = {"PNG": ".png", "TIFF": ".tif", "JPEG": ".jpg", "WebP": ".webp", "AVIF": ".avif", "BMP": ".bmp", "GIF": ".gif"}
LOSSY = ("JPEG", "WebP", "AVIF", "GIF")


def cells() -> Iterator[tuple[str, str, str]]:
    table = PAGE[PAGE.index("| | depth |") :].split("\n\n")[0].splitlines()
    columns = [cell.strip() for cell in table[0].split("|")[2:-1]]
    for line in table[2:]:
        name, *values = (cell.strip() for cell in line.split("|")[1:-1])
        yield from ((name.split(" (")[0], column, value) for column, value in zip(columns, values, strict=True))


def rgb(dtype: type = np.uint8) -> np.ndarray:
    ramp = np.linspace(0, 1 if dtype == np.float32 else np.iinfo(dtype).max, 24 * 32).reshape(24, 32, 1)
    return np.concatenate([ramp, ramp[::-1], ramp[:, ::-1]], axis=2).astype(dtype)


def exif() -> bytes:
    written = Image.Exif()
    written[271] = "a camera"  # Make
    return written.tobytes().removeprefix(b"Exif\0\0")


ALPHA = np.zeros((24, 32), np.uint8)
ALPHA[:, 8:] = 255
WITH = {
    "alpha": {"alpha": ALPHA},
    "ICC": {"icc_profile": ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()},
    "EXIF": {"exif": exif()},
    "XMP": {"xmp": b'<x:xmpmeta xmlns:x="adobe:ns:meta/"></x:xmpmeta>'},
    "DPI": {"dpi": (300.0, 300.0)},
}
FIELD = {"ICC": "icc_profile", "EXIF": "exif", "XMP": "xmp", "DPI": "dpi", "alpha": "alpha"}


def written_and_read(path: Path, photo: Photo | Animation) -> Photo | Animation:
    if path.suffix not in WRITABLE_SUFFIXES:
        pytest.skip("this Pillow has no AVIF")
    write_image(path, photo)
    return read_file(path)


def test_the_table_has_a_row_for_every_format_that_is_written() -> None:
    assert {SUFFIX[name] for name, _, _ in cells()} | {".jpeg", ".tiff", ".avif"} == {*WRITABLE_SUFFIXES, ".avif"}


@pytest.mark.parametrize(("name", "value"), [(name, value) for name, column, value in cells() if column == "depth"])
def test_depth(tmp_path: Path, name: str, value: str) -> None:
    for dtype, word in ((np.uint8, "8"), (np.uint16, "16"), (np.float32, "float")):
        photo = Photo(rgb(dtype))
        found = written_and_read(tmp_path / f"a{SUFFIX[name]}", photo)
        is_kept = word in re.split(", ", value)

        assert (found.pixels.dtype == dtype) is is_kept
        assert bool(re.search(r"became", describe_losses(photo, SUFFIX[name]))) is not is_kept
        if is_kept and name not in LOSSY:
            assert np.array_equal(found.pixels, photo.pixels)


@pytest.mark.parametrize(("name", "value"), [(name, value) for name, column, value in cells() if column == "grey"])
def test_grey(tmp_path: Path, name: str, value: str) -> None:
    if name == "AVIF" and tuple(map(int, PIL.__version__.split(".")[:2])) < (12, 3):
        pytest.skip("Pillow before 12.3 writes grey AVIF with three equal channels")
    found = written_and_read(tmp_path / f"a{SUFFIX[name]}", Photo(rgb()[:, :, :1]))

    assert (found.pixels.shape[2] == 1) is (value == "yes")


@pytest.mark.parametrize(("name", "value"), [(name, value) for name, column, value in cells() if column == "frames"])
def test_frames(tmp_path: Path, name: str, value: str) -> None:
    frames = tuple(Photo(np.roll(rgb(), 8 * number, axis=1)) for number in range(3))
    animation = Animation(frames, (100.0, 200.0, 300.0), loop=2)
    if value == "-":
        assert "no animation" in describe_losses(animation, SUFFIX[name])
        return

    found = written_and_read(tmp_path / f"a{SUFFIX[name]}", animation)

    assert (found.durations_ms, found.loop) == (animation.durations_ms, 2)
    assert len(found.frames) == 3


@pytest.mark.parametrize(("name", "column", "value"), [cell for cell in cells() if cell[1] in FIELD])
def test_what_goes_with_the_colours(tmp_path: Path, name: str, column: str, value: str) -> None:
    photo = replace(Photo(rgb()), **WITH[column])

    found = getattr(written_and_read(tmp_path / f"a{SUFFIX[name]}", photo), FIELD[column])

    if value == "-":
        assert found is None
        assert f"{column if column != 'DPI' else 'resolution'}".lower() in describe_losses(photo, SUFFIX[name]).lower()
    elif column == "alpha":
        assert np.array_equal(found, ALPHA)
    elif column == "DPI":
        assert found == pytest.approx((300, 300), abs=0.02)
    elif column == "EXIF":
        assert b"a camera" in found
    else:
        assert found == WITH[column][FIELD[column]]
