"""``diffir.load`` gives a restorer that takes pictures of any kind and returns the same kind."""

import pydoc
import subprocess
import sys
import textwrap

import numpy as np
import pytest
import torch
from PIL import Image

import diffir
from diffir.errors import ImageError, UsageError
from diffir.image_io import Photo, read_image, write_image

RNG = np.random.default_rng(0)
RGB = RNG.integers(0, 256, (20, 24, 3), dtype=np.uint8)
ALPHA = RNG.integers(0, 256, (20, 24), dtype=np.uint8)
RGBA = np.dstack([RGB, ALPHA])


@pytest.fixture
def restorer(make_restorer):
    return make_restorer()


@pytest.fixture
def expected(restorer):
    return restorer.restore(RGB)


def test_a_pil_image_gives_a_pil_image_of_the_same_mode(restorer, expected) -> None:
    image = Image.fromarray(RGB)
    image.info["exif"] = b"Exif\0\0 something"

    restored = restorer.restore(image)

    assert isinstance(restored, Image.Image)
    assert restored.mode == "RGB"
    assert np.array_equal(np.asarray(restored), expected)
    assert restored.info["exif"] == image.info["exif"]


@pytest.mark.parametrize("mode", ["L", "LA", "RGB", "RGBA", "I;16", "I", "F"])
def test_every_mode_that_can_hold_the_result_is_kept(restorer, mode) -> None:
    image = Image.new(mode, (24, 20), 1 if mode == "F" else 9)

    restored = restorer.restore(image)

    assert (restored.mode, restored.size) == (mode, (24, 20))


@pytest.mark.parametrize(("mode", "becomes"), [("1", "L"), ("P", "RGB"), ("CMYK", "RGB"), ("YCbCr", "RGB")])
def test_other_modes_become_grey_or_rgb(restorer, mode, becomes) -> None:
    assert restorer.restore(Image.new(mode, (24, 20))).mode == becomes


@pytest.mark.parametrize(
    ("dtype", "shape"),
    [
        (torch.uint8, (20, 24)),
        (torch.float16, (1, 20, 24)),
        (torch.bfloat16, (3, 20, 24)),
        (torch.float32, (4, 20, 24)),
        (torch.float64, (2, 3, 20, 24)),
        (torch.float16, (2, 4, 20, 24)),
    ],
)
def test_a_tensor_gives_a_tensor_of_the_same_axes_and_type(restorer, dtype, shape) -> None:
    restored = restorer.restore(torch.ones(shape, dtype=dtype))

    assert (restored.shape, restored.dtype) == (shape, dtype)


def test_a_tensor_is_restored_as_the_array_with_its_channels_last(restorer, expected) -> None:
    restored = restorer.restore(torch.from_numpy(RGB).permute(2, 0, 1))

    assert np.array_equal(restored.permute(1, 2, 0), expected)


def test_alpha_of_an_array_is_kept_and_does_not_reach_the_network(restorer) -> None:
    opaque = np.dstack([RGB, np.full_like(ALPHA, 255)])

    assert np.array_equal(restorer.restore(RGBA)[:, :, 3], ALPHA)
    assert np.array_equal(restorer.restore(opaque)[:, :, :3], restorer.restore(RGB))


@pytest.mark.parametrize("arch", [{}, {"unshuffle": 1, "upsample": 2, "global_skip": "nearest"}])
def test_grey_with_alpha_and_rgba_keep_their_channels_at_every_scale(make_restorer, arch) -> None:
    restorer = make_restorer(arch)
    side = restorer.scale

    assert restorer.restore(RGBA).shape == (20 * side, 24 * side, 4)
    assert restorer.restore(RGBA[:, :, 2:]).shape == (20 * side, 24 * side, 2)


def test_a_batch_of_any_kind_gives_that_kind_and_equals_single_pictures(restorer, expected) -> None:
    pictures = [RGB, Image.fromarray(RGB), torch.from_numpy(RGB).permute(2, 0, 1), RGBA[:10], Photo(RGB)]

    array, pil, tensor, rgba, photo = restorer.restore(pictures)

    assert np.array_equal(restorer.restore(np.stack([RGB, RGB])), np.stack([expected, expected]))
    assert np.array_equal(array, expected)
    assert np.array_equal(np.asarray(pil), expected)
    assert np.array_equal(tensor.permute(1, 2, 0), expected)
    assert rgba.shape == (10, 24, 4)
    assert np.array_equal(photo.pixels, expected)


def test_calling_the_restorer_restores(restorer, expected) -> None:
    assert np.array_equal(restorer(RGB), expected)


def test_a_path_gives_a_result_with_the_metadata_of_the_file(restorer, expected, tmp_path) -> None:
    diffir.write(tmp_path / "in.png", Photo(RGB, ALPHA, xmp=b"<x/>"))

    restored = restorer.restore(tmp_path / "in.png")
    restored.save(tmp_path / "out.png")

    assert diffir.read(tmp_path / "out.png").xmp == b"<x/>"
    assert np.asarray(restored).shape == (20, 24, 4)
    assert repr(restored) == "<in.png restored with toy: 24 x 20 RGB with alpha, uint8>"


def test_a_result_shows_a_slider_in_a_notebook(make_restorer, tmp_path) -> None:
    write_image(tmp_path / "in.png", RGBA[:, :, :3])
    enlarged = make_restorer({"unshuffle": 1, "upsample": 2, "global_skip": "nearest"}).restore(tmp_path / "in.png")

    html = enlarged._repr_html_()

    assert html.startswith("<iframe srcdoc=")
    assert html.count("data:image/webp") == 2
    assert "Divider between the two pictures of in.png" in html


def test_masks_of_every_kind_are_taken(make_restorer, tmp_path) -> None:
    restorer = make_restorer({"in_channels": 4})
    hole = np.zeros((20, 24), np.uint8)
    hole[5:9, 5:9] = 255
    write_image(tmp_path / "mask.png", hole)
    masks = [hole, Image.fromarray(hole), torch.from_numpy(hole)[None], tmp_path / "mask.png", hole[:, :, None]]

    results = [restorer.restore(RGB, mask) for mask in masks]

    assert all(np.array_equal(result, results[0]) for result in results)
    assert np.array_equal(restorer.restore([RGB, RGB], [hole, hole])[1], results[0])
    with pytest.raises(UsageError, match="2 pictures need one mask or 2, not 3"):
        restorer.restore([RGB, RGB], [hole] * 3)


def test_a_file_is_restored_with_everything_that_the_command_line_keeps(restorer, tmp_path) -> None:
    photo = Photo(RGB.astype(np.uint16) * 257, ALPHA.astype(np.uint16) * 257, xmp=b"<x/>", dpi=(300, 300))
    write_image(tmp_path / "in.tif", photo)

    written = restorer.restore_file(tmp_path / "in.tif", tmp_path / "out.tif")

    kept = read_image(written)
    assert (kept.pixels.dtype, kept.xmp, kept.dpi) == (np.uint16, b"<x/>", (300, 300))
    assert np.array_equal(kept.alpha, photo.alpha)


def test_what_is_wrong_with_a_file_is_raised_in_one_line(restorer, tmp_path) -> None:
    (tmp_path / "bad.png").write_bytes(b"\x89PNG\r\n\x1a\n rest")

    with pytest.raises(ImageError, match=r"bad\.png: damaged"):
        restorer.restore_file(tmp_path / "bad.png", tmp_path / "out.png")
    with pytest.raises(UsageError, match="would be overwritten"):
        restorer.restore_file(tmp_path / "bad.png", tmp_path / "bad.png")


@pytest.mark.parametrize(
    ("picture", "message"),
    [
        (np.zeros((3, 20, 24)), "not 3 x 20 x 24; move the channels to the end"),
        (torch.zeros(1, 1, 3, 20, 24), "a tensor is H x W, C x H x W or B x C x H x W, not 1 x 1 x 3 x 20 x 24"),
        ({"image": 1}, "dict is no picture: give a path, a PIL image"),
        (np.zeros((20, 24, 4), np.int32), "pixels must be uint8, uint16 or float"),
        (Image.fromarray(np.full((8, 8), 255, np.float32)), "floats up to 255, but white is 1"),
    ],
)
def test_what_is_no_picture_is_refused_in_one_line(restorer, picture, message) -> None:
    with pytest.raises(ImageError, match=message):
        restorer.restore(picture)


def test_an_empty_batch_is_refused(restorer) -> None:
    with pytest.raises(UsageError, match="at least one picture"):
        restorer.restore([])


def test_the_restorer_says_what_it_is(make_restorer) -> None:
    assert repr(make_restorer(tile=64)) == "<Restorer toy, device cpu, precision fp32, tile 64>"
    assert repr(make_restorer()) == "<Restorer toy, device cpu, precision fp32, tile by memory>"


@pytest.mark.slow
def test_help_shows_three_lines_that_work(tmp_path) -> None:
    write_image(tmp_path / "noisy.jpg", RGB)
    text = pydoc.plain(pydoc.render_doc(diffir))
    start = text.index("import diffir\n")
    lines = textwrap.dedent(" " * 8 + text[start:]).splitlines()[:3]

    subprocess.run([sys.executable, "-c", "\n".join(map(str.strip, lines))], cwd=tmp_path, check=True)

    assert len(lines) == 3
    assert read_image(tmp_path / "clean.png").pixels.shape == RGB.shape


def test_importing_diffir_and_reading_a_file_do_not_import_torch(tmp_path) -> None:
    write_image(tmp_path / "in.png", RGB)
    code = "import diffir, sys; diffir.write('out.png', diffir.read('in.png')); print('torch' in sys.modules)"

    told = subprocess.run([sys.executable, "-c", code], cwd=tmp_path, check=True, capture_output=True, text=True)

    assert told.stdout == "False\n"
