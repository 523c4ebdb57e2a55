"""Files keep what they hold; damaged ones are refused in one line; nothing is half-written."""

from pathlib import Path

import cv2
import numpy as np
import pytest
from PIL import Image, ImageOps

from diffir.errors import ImageError
from diffir.image_io import WRITABLE_SUFFIXES, Photo, describe_losses, list_images, read_image, write_image

LOSSLESS = (".png", ".bmp", ".tif")


def random_array(*shape: int, dtype: type = np.uint8) -> np.ndarray:
    generator = np.random.default_rng(0)
    if np.issubdtype(dtype, np.floating):
        return generator.random(shape, dtype)
    return generator.integers(0, np.iinfo(dtype).max, shape, dtype, endpoint=True)


def smooth_array() -> np.ndarray:
    ramp = np.linspace(0, 255, 64 * 48).reshape(64, 48)
    return np.dstack([ramp, ramp[::-1], ramp[:, ::-1]]).astype(np.uint8)


@pytest.mark.parametrize("suffix", LOSSLESS)
@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("has_alpha", [False, True])
@pytest.mark.parametrize("dtype", [np.uint8, np.uint16, np.float32])
def test_what_a_format_holds_comes_back_and_the_rest_is_told(
    tmp_path: Path, suffix: str, channels: int, has_alpha: bool, dtype: type
) -> None:
    alpha = random_array(13, 9, dtype=dtype) if has_alpha else None
    photo = Photo(random_array(13, 9, channels, dtype=dtype), alpha)
    write_image(tmp_path / f"a.1{suffix}", photo)
    found = read_image(tmp_path / f"a.1{suffix}")

    if describe_losses(photo, suffix):
        assert (found.pixels.dtype != dtype) or (has_alpha and found.alpha is None)
        return
    grey_became_colour = suffix == ".png" and dtype == np.uint16 and has_alpha  # OpenCV writes no grey with alpha
    assert np.array_equal(
        found.pixels, np.repeat(photo.pixels, 3, 2) if grey_became_colour and channels == 1 else photo.pixels
    )
    assert (found.alpha is None) if alpha is None else np.array_equal(found.alpha, alpha)


@pytest.mark.parametrize("suffix", [".jpg", ".JPEG", ".webp"])
def test_lossy_formats_keep_red_red(tmp_path: Path, suffix: str) -> None:
    write_image(tmp_path / f"a{suffix}", smooth_array())

    found = read_image(tmp_path / f"a{suffix}").pixels

    assert np.abs(found.astype(int) - smooth_array()).mean() < 2


@pytest.mark.parametrize("suffix", [".png", ".jpg", ".webp", ".tif"])
@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
def test_the_colour_profile_travels_byte_for_byte(tmp_path: Path, suffix: str, dtype: type) -> None:
    profile = bytes(range(256)) * 3
    write_image(tmp_path / f"a{suffix}", Photo(random_array(9, 9, 3, dtype=dtype), icc_profile=profile))

    assert read_image(tmp_path / f"a{suffix}").icc_profile == profile


@pytest.mark.parametrize("suffix", [".png", ".jpg", ".webp", ".tif", ".bmp"])
@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
def test_metadata_travel_or_their_loss_is_told(tmp_path: Path, suffix: str, dtype: type) -> None:
    exif = Image.Exif()
    exif[271] = "Maker"
    photo = Photo(random_array(9, 9, 3, dtype=dtype), icc_profile=bytes(range(256)), exif=exif.tobytes())

    write_image(tmp_path / f"a{suffix}", photo)
    found, losses = read_image(tmp_path / f"a{suffix}"), describe_losses(photo, suffix.upper())

    assert (found.icc_profile is None) == ("ICC profile dropped" in losses) == (suffix == ".bmp")
    assert (found.exif is None) == ("EXIF dropped" in losses) == (suffix in (".bmp", ".tif"))


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("kind", ["PNG", "TIFF", "WEBP"])
def test_photos_come_out_upright_and_stay_so(tmp_path: Path, orientation: int, kind: str) -> None:
    exif = Image.Exif()
    exif[274], exif[271] = orientation, "Maker"
    options = {"tiffinfo": {274: orientation}} if kind == "TIFF" else {"exif": exif, "lossless": True}
    Image.fromarray(smooth_array()).save(tmp_path / "turned", kind, **options)

    photo = read_image(tmp_path / "turned")
    write_image(tmp_path / "upright.png", photo)

    with Image.open(tmp_path / "turned") as turned, Image.open(tmp_path / "upright.png") as upright:
        assert np.array_equal(photo.pixels, ImageOps.exif_transpose(turned))
        assert upright.getexif().get(274, 1) == 1
        assert kind == "TIFF" or upright.getexif()[271] == "Maker"


def test_a_deep_png_is_turned_too_and_keeps_its_exif(tmp_path: Path) -> None:
    exif = Image.Exif()
    exif[274] = 6
    deep = random_array(5, 8, 3, dtype=np.uint16)
    write_image(tmp_path / "turned.png", Photo(deep, exif=exif.tobytes()))

    assert np.array_equal(read_image(tmp_path / "turned.png").pixels, np.rot90(deep, -1))


@pytest.mark.parametrize("mode", ["1", "L", "LA", "P", "PA", "RGBA", "CMYK", "I;16", "F"])
def test_every_mode_becomes_grey_or_rgb(tmp_path: Path, mode: str) -> None:
    array = smooth_array()
    Image.fromarray(array[:, :, 0] if mode == "I;16" else array).convert(mode).save(tmp_path / "a.tif")

    photo = read_image(tmp_path / "a.tif")

    grey = mode in ("1", "L", "LA", "I;16", "F")
    assert photo.pixels.shape == (64, 48, 1 if grey else 3)
    assert photo.pixels.dtype == {"I;16": np.uint16, "F": np.float32}.get(mode, np.uint8)
    assert (photo.alpha is not None) == (mode in ("LA", "PA", "RGBA"))


def test_palette_transparency_becomes_alpha(tmp_path: Path) -> None:
    palette = Image.fromarray(random_array(8, 8) % 4, "L").convert("P")
    palette.save(tmp_path / "a.png", transparency=0)

    assert read_image(tmp_path / "a.png").alpha is not None


def test_deep_files_of_others_are_read_without_extra_packages(tmp_path: Path) -> None:
    deep = random_array(20, 30, 3, dtype=np.uint16)
    for name in ("lzw.tif", "a.ppm"):
        cv2.imwrite(str(tmp_path / name), deep[:, :, ::-1])

        assert np.array_equal(read_image(tmp_path / name).pixels, deep)


@pytest.mark.parametrize("suffix", [".png", ".jpg", ".webp", ".bmp", ".tif"])
@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
def test_a_truncated_file_is_refused(tmp_path: Path, suffix: str, dtype: type) -> None:
    path = tmp_path / f"a{suffix}"
    write_image(path, random_array(64, 64, 3, dtype=dtype))
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])

    with pytest.raises(ImageError, match=rf"a{suffix}: damaged or truncated"):
        read_image(path)


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [("no.png", None, "no such file"), ("zero.png", b"", "is empty"), ("text.png", b"hello" * 9, "not an image")],
)
def test_what_is_no_photo_is_refused_in_one_line(
    tmp_path: Path, name: str, content: bytes | None, message: str
) -> None:
    if content is not None:
        (tmp_path / name).write_bytes(content)

    with pytest.raises(ImageError, match=message) as caught:
        read_image(tmp_path / name)

    assert "\n" not in str(caught.value)
    assert name in str(caught.value)


def test_an_animation_is_refused(tmp_path: Path) -> None:
    frames = [Image.fromarray(random_array(8, 8, 3)) for _ in range(3)]
    frames[0].paste((255, 0, 0), (0, 0, 4, 4))
    frames[0].save(tmp_path / "a.gif", save_all=True, append_images=frames[1:])

    with pytest.raises(ImageError, match="animation of 2 frames"):
        read_image(tmp_path / "a.gif")


def test_a_broken_exif_block_is_no_reason_to_refuse_a_photo(tmp_path: Path) -> None:
    orientation_as_text = b"Exif\0\0MM\0*\0\0\0\x08\0\x01" + b"\x01\x12\0\x02\0\0\0\x04abc\0" + bytes(4)
    Image.fromarray(smooth_array()).save(tmp_path / "a.png", exif=orientation_as_text)

    assert np.array_equal(read_image(tmp_path / "a.png").pixels, smooth_array())


def test_folders_and_names_of_any_script_are_fine(tmp_path: Path) -> None:
    path = tmp_path / "новая папка" / "東京 1.PNG"
    write_image(path, smooth_array())

    assert np.array_equal(read_image(path).pixels, smooth_array())


def test_a_full_disk_leaves_the_old_file_and_no_other(tmp_path: Path) -> None:
    resource = pytest.importorskip("resource")
    write_image(tmp_path / "a.png", smooth_array())
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)

    resource.setrlimit(resource.RLIMIT_FSIZE, (1000, hard))
    try:
        with pytest.raises(ImageError, match=r"a\.png: cannot be written"):
            write_image(tmp_path / "a.png", random_array(64, 64, 3))
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))

    assert [path.name for path in tmp_path.iterdir()] == ["a.png"]
    assert np.array_equal(read_image(tmp_path / "a.png").pixels, smooth_array())


def test_a_target_that_is_a_folder_is_refused_and_leaves_nothing(tmp_path: Path) -> None:
    (tmp_path / "b.png").mkdir()

    with pytest.raises(ImageError, match=r"b\.png: cannot be written"):
        write_image(tmp_path / "b.png", smooth_array())

    assert [path.name for path in tmp_path.iterdir()] == ["b.png"]


@pytest.mark.parametrize("shape", [(4, 4, 7), (0, 4, 3)])
def test_an_array_that_is_no_image_is_not_written(tmp_path: Path, shape: tuple[int, ...]) -> None:
    with pytest.raises(ImageError, match="1 or 3 channels"):
        write_image(tmp_path / "a.png", np.zeros(shape, np.uint8))


def test_an_unknown_suffix_lists_the_known_ones(tmp_path: Path) -> None:
    with pytest.raises(ImageError, match=r"cannot write \.xyz; can: \.png"):
        write_image(tmp_path / "a.xyz", smooth_array())


def test_listing_takes_any_case_and_leaves_hidden_files_out(tmp_path: Path) -> None:
    for name in ("b.PNG", "a.Jpeg", ".hidden.png", "notes.txt", "x/c.tif"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).touch()

    assert [path.name for path in list_images(tmp_path)] == ["a.Jpeg", "b.PNG"]
    assert [path.name for path in list_images(tmp_path, recursive=True)] == ["a.Jpeg", "b.PNG", "c.tif"]


@pytest.mark.parametrize("suffix", WRITABLE_SUFFIXES)
def test_one_pixel_is_an_image(tmp_path: Path, suffix: str) -> None:
    write_image(tmp_path / f"a{suffix}", np.full((1, 1, 3), 200, np.uint8))

    assert np.abs(read_image(tmp_path / f"a{suffix}").pixels.astype(int) - 200).max() < 4
