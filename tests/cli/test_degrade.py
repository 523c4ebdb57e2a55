"""``diffir degrade`` as users call it."""

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from diffir.cli.main import main
from diffir.degradations.recipe_file import shipped_recipes
from diffir.degradations.recipes import degrade_image, load_recipe, seed_for_photo
from diffir.image_io import read_image, write_image
from diffir.pixels import to_kind


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    for seed, name in enumerate(("one.png", "two.jpg", "deep/three.png")):
        pixels = np.random.default_rng(seed).integers(0, 256, (33, 50, 3), dtype=np.uint8)
        write_image(tmp_path / "photos" / name, pixels)
    return tmp_path / "photos"


def files_in(folder: Path) -> list[str]:
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*.*"))


def test_a_folder_becomes_a_folder_of_degraded_pngs(
    photos: Path, tmp_path: Path, capsys: pytest.CaptureFixture
) -> None:
    out = tmp_path / "out"

    assert main(["degrade", str(photos), "-o", str(out), "--recipe", "photo", "--seed", "7"]) == 0

    clean = read_image(photos / "one.png").pixels
    expected = to_kind(degrade_image(clean, load_recipe("photo"), seed_for_photo("one", 7)), np.uint8)
    assert np.array_equal(read_image(out / "one.png").pixels, expected)
    assert files_in(out) == ["one.png", "two.png"]
    lines = capsys.readouterr().out.splitlines()
    assert lines == [
        "recipe photo, scale 1, channels 3, seed 7",
        f"{photos / 'one.png'} -> {out / 'one.png'}  50 x 33",
        f"{photos / 'two.jpg'} -> {out / 'two.png'}  50 x 33",
    ]


def test_a_photo_is_damaged_alike_alone_and_among_others(photos: Path, tmp_path: Path) -> None:
    assert main(["degrade", str(photos), "-r", "-o", str(tmp_path / "all"), "--recipe", "jpeg"]) == 0
    assert main(["degrade", str(photos / "two.jpg"), "-o", str(tmp_path / "two.png"), "--recipe", "jpeg"]) == 0

    assert files_in(tmp_path / "all") == ["deep/three.png", "one.png", "two.png"]
    assert (tmp_path / "two.png").read_bytes() == (tmp_path / "all" / "two.png").read_bytes()


def test_a_count_makes_several_of_each_named_by_their_seeds(photos: Path, tmp_path: Path) -> None:
    command = ["degrade", str(photos / "one.png"), "--recipe", "gaussian_noise"]
    assert main([*command, "-o", str(tmp_path / "out"), "--count", "2", "--seed", "4"]) == 0
    assert main([*command, "-o", str(tmp_path / "five.png"), "--seed", "5"]) == 0

    assert files_in(tmp_path / "out") == ["one_s4.png", "one_s5.png"]
    assert (tmp_path / "out" / "one_s5.png").read_bytes() == (tmp_path / "five.png").read_bytes()


def test_a_scale_cuts_the_photo_to_a_multiple_first(photos: Path, tmp_path: Path) -> None:
    assert main(["degrade", str(photos / "one.png"), "-o", str(tmp_path / "x.png"), "--recipe", "bicubic_x4"]) == 0

    clean = read_image(photos / "one.png").pixels[:32, :48]
    expected = to_kind(degrade_image(clean, load_recipe("bicubic_x4"), 0), np.uint8)
    assert np.array_equal(read_image(tmp_path / "x.png").pixels, expected)


def test_holes_come_with_masks_that_restore_takes(photos: Path, tmp_path: Path, capsys: pytest.CaptureFixture) -> None:
    out = tmp_path / "out"

    assert main(["degrade", str(photos / "one.png"), "-o", f"{out}/", "--recipe", "inpaint_wide"]) == 0

    mask, image = read_image(out / "masks" / "one.png").pixels, read_image(out / "one.png").pixels
    assert files_in(out) == ["masks/one.png", "one.png"]
    assert set(np.unique(mask)) == {0, 255}
    assert not image[mask[:, :, 0] == 255].any()
    assert f"{(mask == 255).mean():.0%} missing" in capsys.readouterr().out


def test_a_preview_alone_writes_the_sheet_and_nothing_else(photos: Path, tmp_path: Path) -> None:
    sheet = tmp_path / "sheet.png"

    assert main(["degrade", str(photos), "--recipe", "inpaint_thin", "--preview", str(sheet), "--count", "3"]) == 0

    assert read_image(sheet).pixels.shape[1] == 8 + 4 * (50 + 8)  # clean and three draws
    assert files_in(tmp_path) == sorted(["sheet.png", *(f"photos/{name}" for name in files_in(photos))])


def test_a_bad_file_is_one_line_and_the_rest_goes_on(
    photos: Path, tmp_path: Path, capsys: pytest.CaptureFixture
) -> None:
    (photos / "broken.png").write_bytes(b"no image")

    code = main(["degrade", str(photos), "-o", str(tmp_path / "out"), "--recipe", "jpeg"])

    assert code == 1
    assert capsys.readouterr().err.startswith(f"diffir: {photos / 'broken.png'}: not an image")
    assert files_in(tmp_path / "out") == ["one.png", "two.png"]


def test_a_photo_smaller_than_the_scale_fails_alone(
    photos: Path, tmp_path: Path, capsys: pytest.CaptureFixture
) -> None:
    write_image(photos / "dot.png", np.zeros((1, 9, 3), np.uint8))

    assert main(["degrade", str(photos), "-o", str(tmp_path / "out"), "--recipe", "bicubic_x4"]) == 1

    assert capsys.readouterr().err == f"diffir: {photos / 'dot.png'}: 9 x 1 pixels are too few for scale 4\n"


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        (["-o", "out"], "--recipe is missing"),
        (["--recipe", "photo"], "no output: name -o FOLDER"),
        (["--recipe", "foto", "-o", "out"], "no recipe 'foto'"),
        (["--recipe", "wrong.yml", "-o", "out"], "wrong.yml: step 1 (blur): unknown key 'sigm'; did you mean 'sigma'?"),
        (["--recipe", "photo", "-o", "out.jpg"], "out.jpg would compress the result with losses"),
        (["--recipe", "photo", "--preview", "sheet.txt"], "sheet.txt must end in one of"),
        (["--recipe", "photo", "-o", "photos"], "is an input"),
        (["--recipe", "photo", "--preview", "photos/one.png"], "photos/one.png is an input"),
        (
            ["--recipe", "inpaint_wide", "-o", "out", "--preview", "out/masks/one.png"],
            "out/masks/one.png is an input, or",
        ),
    ],
)
def test_wrong_usage_is_one_line_and_nothing_is_written(
    photos: Path, flags: list[str], message: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture
) -> None:
    monkeypatch.chdir(photos.parent)
    Path("wrong.yml").write_text("steps: [{type: blur, sigm: [1, 2]}]", "utf-8")
    before = files_in(photos.parent)

    assert main(["degrade", "photos/one.png", *flags]) == 2

    error = capsys.readouterr().err
    assert message in error and error.count("\n") == 1
    assert files_in(photos.parent) == before


@pytest.mark.parametrize("flag", [["--seed", "-1"], ["--count", "0"]])
def test_a_number_that_cannot_be_is_refused(flag: list[str], capsys: pytest.CaptureFixture) -> None:
    with pytest.raises(SystemExit) as stopped:
        main(["degrade", "a.png", "--recipe", "photo", "-o", "out", *flag])

    assert stopped.value.code == 2
    assert flag[0] in capsys.readouterr().err


def test_the_list_names_every_recipe_with_its_summary_and_needs_no_torch() -> None:
    code = "import sys; from diffir.cli.main import main; main(['degrade', '--list']); sys.exit('torch' in sys.modules)"

    done = subprocess.run([sys.executable, "-c", code], capture_output=True, check=False, env=os.environ, text=True)

    assert done.returncode == 0
    lines = dict(line.split(maxsplit=1) for line in done.stdout.splitlines())
    assert lines == {name: load_recipe(name).summary for name in shipped_recipes()}
