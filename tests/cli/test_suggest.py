"""``diffir suggest`` as users run it."""

import json
from pathlib import Path

import numpy as np
import pytest

from diffir.cli.main import main
from diffir.image_io import Photo, read_image, write_image

SAMPLES = Path(__file__).resolve().parents[2] / "datasets/samples"


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    """A noisy photo, one that was compressed, and a file that is no photo."""
    pixels = read_image(SAMPLES / "clean/parrots.png").pixels
    noisy = np.clip(pixels + np.random.default_rng(0).normal(0, 12, pixels.shape), 0, 255).astype(np.uint8)
    write_image(tmp_path / "in/a noisy one.png", noisy)
    write_image(tmp_path / "in/compressed.jpg", pixels, quality=40)
    (tmp_path / "in/broken.jpg").write_text("no photo")
    return tmp_path / "in"


def test_each_photo_has_its_findings_and_the_commands_that_should_help(
    photos: Path, capsys: pytest.CaptureFixture
) -> None:
    code = main(["suggest", str(photos)])

    captured = capsys.readouterr()
    lines = captured.out.splitlines()
    assert code == 1
    assert captured.err.startswith(f"diffir: {photos}/broken.jpg: not an image")
    assert lines[0].startswith(f"{photos}/a noisy one.png: 384 x 384, noise (sigma ")
    assert lines[1].startswith(f"  diffir restore '{photos}/a noisy one.png' -n denoise  (")
    assert f"{photos}/compressed.jpg: 384 x 384, JPEG of quality 40" in lines
    assert any(
        line.startswith(f"  diffir upscale {photos}/compressed.jpg -n realesrgan_general_x4  (") for line in lines
    )


def test_a_photo_without_faults_is_left_as_it_is(tmp_path: Path, capsys: pytest.CaptureFixture) -> None:
    large = read_image(SAMPLES / "clean/parrots.png").pixels.repeat(2, axis=0).repeat(2, axis=1)
    write_image(tmp_path / "a.png", np.tile(large[::2, ::2], (2, 2, 1)))

    assert main(["suggest", str(tmp_path / "a.png")]) == 0

    assert capsys.readouterr().out == f"{tmp_path}/a.png: 768 x 768, nothing seems wrong\n  leave it as it is\n"


def test_json_has_all_figures_findings_and_suggestions(photos: Path, capsys: pytest.CaptureFixture) -> None:
    main(["suggest", str(photos), "--json"])

    noisy, broken, compressed = (json.loads(line) for line in capsys.readouterr().out.splitlines())
    assert broken.keys() == {"file", "error"}
    assert compressed["figures"]["jpeg_quality"] == 40
    assert compressed["findings"] == [{"name": "JPEG", "text": "JPEG of quality 40"}]
    assert noisy["suggestions"][0]["name"] == "denoise"
    assert noisy["suggestions"][0]["networks"] == ["denoise"]


def test_colours_under_transparent_pixels_are_no_fault(tmp_path: Path, capsys: pytest.CaptureFixture) -> None:
    pixels = read_image(SAMPLES / "clean/houses.png").pixels
    alpha = np.where(np.random.default_rng(0).random(pixels.shape[:2]) < 0.1, 0, 255).astype(np.uint8)
    hidden = np.where(alpha[:, :, None] == 0, np.uint8(0), pixels)
    write_image(tmp_path / "a.png", Photo(hidden, alpha))

    main(["suggest", str(tmp_path / "a.png"), "--json"])

    assert json.loads(capsys.readouterr().out)["findings"] == []


@pytest.mark.slow
def test_the_sheet_shows_photos_before_and_after(photos: Path, tmp_path: Path) -> None:
    (photos / "broken.jpg").unlink()

    assert main(["suggest", str(photos), "--preview", str(tmp_path / "sheet.png"), "--device", "cpu"]) == 0

    sheet = read_image(tmp_path / "sheet.png").pixels
    first, second = sheet[8:328, 8:328], sheet[8:328, 336:656]
    assert sheet.shape[0] > 2 * 320 and sheet.shape[1] > 6 * 320
    assert np.abs(np.diff(second.astype(int), axis=0)).mean() < np.abs(np.diff(first.astype(int), axis=0)).mean()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ([], "no input"),
        (["clip.mp4"], "clip.mp4 is a video, and diffir suggest looks at photos"),
        (["a.png", "--preview", "sheet.mp4"], "--preview draws a picture, such as sheet.png"),
        (["a.png", "--preview", "a.png"], "is an input and would be overwritten"),
        (["many", "--preview", "sheet.png"], "--preview draws up to 12 photos, and these are 13"),
        (["https://example.org/a.png"], "is an address"),
    ],
)
def test_wrong_usage_ends_with_2_and_one_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture, arguments: list[str], message: str
) -> None:
    monkeypatch.chdir(tmp_path)
    for number in range(13):
        write_image(Path(f"many/{number}.png"), np.zeros((4, 4, 3), np.uint8))
    write_image(Path("a.png"), np.zeros((4, 4, 3), np.uint8))

    assert main(["suggest", *arguments]) == 2

    error = capsys.readouterr().err
    assert message in error
    assert error.count("\n") == 1
