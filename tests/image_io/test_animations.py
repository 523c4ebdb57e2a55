"""Animations are read as whole frames, and written with their times and repetitions."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from diffir.errors import ImageError
from diffir.image_io import Animation, Photo, describe_losses, kept_suffix, read_file, read_image, write_image

TIMES = (50.0, 100.0, 30.0)


def moving(draw, channels: int = 3, *, has_alpha: bool = False, loop: int = 0, dtype: type = np.uint8) -> Animation:
    """Return an animation of three frames with at most 64 colours, so that a GIF can hold it."""
    scale = np.iinfo(dtype).max // 3
    frames = [Photo((draw(12, 10, channels) % 4).astype(dtype) * dtype(scale)) for _ in TIMES]
    if has_alpha:
        holes = [(draw(12, 10) % 2).astype(dtype) * np.iinfo(dtype).max for _ in TIMES]
        frames = [Photo(frame.pixels, hole) for frame, hole in zip(frames, holes, strict=True)]
    return Animation(tuple(frames), TIMES, loop)


def same(found: Photo, frame: Photo) -> bool:
    shown = slice(None) if frame.alpha is None else frame.alpha > 0
    if not np.array_equal(*(np.broadcast_to(p.pixels, (12, 10, 3))[shown] for p in (found, frame))):
        return False
    return (found.alpha is None) if frame.alpha is None else np.array_equal(found.alpha, frame.alpha)


@pytest.mark.parametrize("suffix", [".gif", ".webp", ".png"])
@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("has_alpha", [False, True])
@pytest.mark.parametrize("loop", [0, 1, 5])
def test_frames_times_and_repetitions_come_back(
    tmp_path: Path, draw, suffix: str, channels: int, has_alpha: bool, loop: int
) -> None:
    animation = moving(draw, channels, has_alpha=has_alpha, loop=loop)
    lossless = Animation(tuple(Photo(f.pixels, f.alpha, lossless=True) for f in animation.frames), TIMES, loop)
    write_image(tmp_path / f"a{suffix}", lossless)

    found = read_file(tmp_path / f"a{suffix}")

    assert isinstance(found, Animation)
    assert (found.durations_ms, found.loop) == (TIMES, loop)
    assert all(same(*pair) for pair in zip(found.frames, animation.frames, strict=True))
    assert kept_suffix(found, suffix) == suffix
    assert describe_losses(animation, suffix) == ""


@pytest.mark.parametrize("suffix", [".gif", ".webp", ".png"])
@pytest.mark.parametrize("shape", [(1, 9), (9, 1)])
@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("has_alpha", [False, True])
def test_frames_of_one_row_or_column_stay_so(
    tmp_path: Path, suffix: str, shape: tuple[int, int], channels: int, has_alpha: bool
) -> None:
    alpha = np.arange(9, dtype=np.uint8).reshape(shape) % 2 * 255 if has_alpha else None
    greys = [np.full((*shape, channels), grey, np.uint8) for grey in (50, 200)]
    frames = tuple(Photo(grey, alpha, lossless=True) for grey in greys)
    write_image(tmp_path / f"a{suffix}", Animation(frames, (50.0, 50.0)))

    found = read_file(tmp_path / f"a{suffix}")

    assert isinstance(found, Animation)
    assert [frame.pixels.shape[:2] for frame in found.frames] == [shape, shape]
    shown = slice(None) if alpha is None else alpha > 0
    assert all((frame.pixels[shown] == grey).all() for frame, grey in zip(found.frames, (50, 200), strict=True))


@pytest.mark.parametrize(("suffix", "unit"), [(".gif", 10), (".webp", 1)])
@pytest.mark.parametrize("ms", [39.0, 33.0, 1000 / 30, 1000 / 24, 15.0, 101.7])
def test_rounded_times_make_an_animation_neither_faster_nor_slower(
    tmp_path: Path, suffix: str, unit: int, ms: float
) -> None:
    frames = tuple(Photo(np.full((4, 4, 3), index * 20, np.uint8)) for index in range(12))
    write_image(tmp_path / f"a{suffix}", Animation(frames, (ms,) * 12))

    found = read_file(tmp_path / f"a{suffix}")

    assert isinstance(found, Animation)
    assert sum(found.durations_ms) == pytest.approx(12 * ms, abs=unit / 2)
    assert found.durations_ms == pytest.approx((ms,) * 12, abs=unit)


def test_frames_that_hold_only_what_moved_are_read_whole(tmp_path: Path) -> None:
    still = Image.new("RGB", (20, 20), "white")
    frames = [still.copy() for _ in range(3)]
    for index, frame in enumerate(frames):
        frame.paste("red", (5 * index, 5, 5 * index + 4, 9))
    for name, options in (
        ("a.gif", {"disposal": [1, 2, 3]}),
        ("a.png", {"disposal": [0, 1, 2]}),
        ("a.webp", {"lossless": True}),
    ):
        frames[0].save(tmp_path / name, save_all=True, append_images=frames[1:], duration=40, **options)
        found = read_file(tmp_path / name)

        assert isinstance(found, Animation)
        assert np.array_equal(found.frames[0].pixels, frames[0])
        assert (found.frames[2].pixels[5:9, 10:14] == (255, 0, 0)).all()
        if name != "a.png":  # there the file's own rule leaves holes
            assert found.frames[2].alpha is None


def test_the_still_that_a_png_shows_to_simple_programs_is_no_frame(tmp_path: Path, draw) -> None:
    frames = [Image.fromarray(draw(8, 8, 3)) for _ in range(3)]
    frames[0].save(tmp_path / "a.png", save_all=True, append_images=frames[1:], duration=40, default_image=True)

    found = read_file(tmp_path / "a.png")

    assert isinstance(found, Animation)
    assert np.array_equal(found.frames[0].pixels, frames[1])
    assert len(found.frames) == 2


def test_metadata_of_an_animation_are_those_of_its_first_frame(tmp_path: Path, draw) -> None:
    animation = moving(draw)
    first = Photo(animation.frames[0].pixels, None, bytes(300), None, b"<xmp/>", lossless=True)
    write_image(tmp_path / "a.webp", Animation((first, *animation.frames[1:]), TIMES))
    found = read_file(tmp_path / "a.webp")

    assert isinstance(found, Animation)
    assert (found.frames[0].icc_profile, found.frames[0].xmp) == (bytes(300), b"<xmp/>")
    assert found.frames[1].icc_profile is None


def test_deep_frames_go_into_png_at_16_bit(tmp_path: Path, draw) -> None:
    write_image(tmp_path / "a.png", moving(draw, dtype=np.uint16))

    assert (tmp_path / "a.png").read_bytes()[24] == 16
    found = read_file(tmp_path / "a.png")
    assert isinstance(found, Animation)
    assert found.frames[0].note == "16-bit frames read as 8 bit"


@pytest.mark.parametrize("ms", [0.0, 1000 / 30, 1000 / 60, 1001.0, 70_000.0, 1e9])
def test_times_of_a_png_are_fractions_of_a_second(tmp_path: Path, draw, ms: float) -> None:
    frames = moving(draw).frames
    write_image(tmp_path / "a.png", Animation(frames, (ms, ms, ms)))
    found = read_file(tmp_path / "a.png")

    assert isinstance(found, Animation)
    assert found.durations_ms[0] == pytest.approx(min(ms, 65_535_000), abs=0.5)


@pytest.mark.parametrize(
    ("suffix", "words"),
    [
        (".gif", "16 bit became 8 bit, colours reduced to 256"),
        (".jpg", "no animation, 16 bit became 8 bit"),
        (".png", ""),
    ],
)
def test_losses_of_an_animation_are_described(draw, suffix: str, words: str) -> None:
    assert describe_losses(moving(draw, dtype=np.uint16), suffix) == words


def test_a_gif_says_what_it_cannot_show(draw) -> None:
    photo = Photo(draw(40, 40, 3), draw(40, 40))

    assert describe_losses(photo, ".gif") == "colours reduced to 256, alpha reduced to one bit"
    assert describe_losses(Animation((photo,), (33.0,)), ".gif").endswith("times rounded to 10 ms")
    assert kept_suffix(photo, ".gif") == ".png"


def test_a_ramp_in_a_gif_has_no_edges(tmp_path: Path) -> None:
    across, down = np.meshgrid(np.arange(128) * 2, np.arange(96) * 2)
    ramp = np.dstack([across, down, 255 - across]).astype(np.uint8)
    write_image(tmp_path / "a.gif", ramp)

    found = read_image(tmp_path / "a.gif").pixels

    from_afar = [array.reshape(24, 4, 32, 4, 3).mean(axis=(1, 3)) for array in (ramp, found)]
    assert np.abs(from_afar[0] - from_afar[1]).mean() < 1  # fields of one colour: 1.5


def test_dithering_makes_no_holes(tmp_path: Path, draw) -> None:
    alpha = np.repeat(np.uint8([[0], [255]]), 40, axis=0).repeat(80, axis=1)
    pixels = draw(80, 80, 3)
    pixels[60:] = 0
    write_image(tmp_path / "a.gif", Photo(pixels, alpha))

    assert np.array_equal(read_image(tmp_path / "a.gif").alpha, alpha)


def test_an_animation_does_not_become_a_still(tmp_path: Path, draw) -> None:
    with pytest.raises(ImageError, match=r"a\.jpg: JPEG cannot hold an animation; \.gif, \.png and \.webp can"):
        write_image(tmp_path / "a.jpg", moving(draw))


@pytest.mark.parametrize("suffix", [".gif", ".webp", ".png"])
def test_where_stills_are_wanted_an_animation_is_refused(tmp_path: Path, draw, suffix: str) -> None:
    write_image(tmp_path / f"a{suffix}", moving(draw))

    with pytest.raises(ImageError, match="animation of 3 frames"):
        read_image(tmp_path / f"a{suffix}")


def test_an_avif_sequence_is_refused_in_a_line(tmp_path: Path, draw) -> None:
    frames = [Image.fromarray(draw(16, 16, 3)) for _ in range(2)]
    try:
        frames[0].save(tmp_path / "a.avif", save_all=True, append_images=frames[1:])
    except ValueError:
        pytest.skip("Pillow without AVIF")

    with pytest.raises(ImageError, match="AVIF sequence of 2 frames"):
        read_file(tmp_path / "a.avif")


def test_frames_that_do_not_match_are_not_written(tmp_path: Path, draw) -> None:
    frames = (Photo(draw(4, 4, 3)), Photo(draw(4, 5, 3)))

    with pytest.raises(ImageError, match="have one size"):
        write_image(tmp_path / "a.gif", Animation(frames, (1.0, 1.0)))
    with pytest.raises(ImageError, match="a time for each frame"):
        write_image(tmp_path / "a.gif", Animation(frames[:1], (1.0, 1.0)))
