"""What is decided before the first file is touched, and what happens when one is bad."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from diffir.errors import PairingError, UsageError
from diffir.image_io import Photo, read_image, write_image
from diffir.inference.batch import Event, Job, plan_jobs, run_jobs
from diffir.inference.restorer import Restorer

MakeRestorer = Callable[..., Restorer]


def save_photos(folder: Path, *names: str) -> list[str]:
    """Small different photos; their paths."""
    generator = np.random.default_rng(0)
    for name in names:
        write_image(folder / name, generator.integers(0, 256, (16, 24, 3), dtype=np.uint8))
    return [str(folder / name) for name in names]


def targets(jobs: list[Job], folder: Path) -> list[str]:
    return [job.target.relative_to(folder).as_posix() for job in jobs]


def test_names_keep_their_dots_their_letters_and_their_format(tmp_path: Path) -> None:
    save_photos(tmp_path, "a.1.png", "a.2.png", "Grün 1.JPG", "b.bmp")

    jobs = plan_jobs([str(tmp_path)], tmp_path / "out", suffix="_new")

    assert targets(jobs, tmp_path / "out") == ["Grün 1_new.JPG", "a.1_new.png", "a.2_new.png", "b_new.bmp"]


def test_one_file_may_be_given_its_name(tmp_path: Path) -> None:
    (source,) = save_photos(tmp_path, "a.png")

    assert targets(plan_jobs([source], tmp_path / "b.webp"), tmp_path) == ["b.webp"]
    assert targets(plan_jobs([source], tmp_path / "folder"), tmp_path) == ["folder/a.png"]
    (tmp_path / "folder.png").mkdir()
    assert targets(plan_jobs([source], tmp_path / "folder.png"), tmp_path) == ["folder.png/a.png"]


def test_patterns_find_images_only(tmp_path: Path) -> None:
    save_photos(tmp_path, "a.png", "b.png", "c.jpg")
    (tmp_path / "b.txt").touch()

    assert targets(plan_jobs([str(tmp_path / "[ab].*")], tmp_path / "out", ext="jpg"), tmp_path) == [
        "out/a.jpg",
        "out/b.jpg",
    ]


def test_recursion_mirrors_the_tree_and_skips_earlier_results(tmp_path: Path) -> None:
    save_photos(tmp_path, "a.png", "x/a.png", "out/x/a.png")

    jobs = plan_jobs([str(tmp_path)], tmp_path / "out", recursive=True)

    assert targets(jobs, tmp_path) == ["out/a.png", "out/x/a.png"]


@pytest.mark.parametrize("output", [".", "photos"])
def test_an_output_folder_above_the_photos_hides_none_of_them(tmp_path: Path, output: str) -> None:
    save_photos(tmp_path, "photos/a.png", "photos/x/b.png")

    jobs = plan_jobs([str(tmp_path / "photos")], tmp_path / output, recursive=True, suffix="_new")

    assert targets(jobs, tmp_path / output) == ["a_new.png", "x/b_new.png"]


@pytest.mark.parametrize(
    ("inputs", "output", "options", "message"),
    [
        (["a.png", "x/a.png"], "out", {}, "would both become"),
        (["a.png", "a.jpg"], "out", {"ext": "png"}, "would both become"),
        (["."], ".", {}, "would be overwritten"),
        (["a.png"], "a.png", {}, "would be overwritten"),
        (["a.png", "a.jpg"], "out.png", {}, "names one file"),
        (["."], "out.png", {}, "names one file"),
        (["a.png"], "out.png", {"ext": "jpg"}, "give a folder"),
        (["a.png"], "out.gif", {}, "cannot write .gif"),
        (["empty"], "out", {}, "no image in"),
        (["*.bmp"], "out", {}, "no image matches"),
        ([], "out", {}, "no input"),
    ],
)
def test_what_cannot_end_well_does_not_start(
    tmp_path: Path, inputs: list[str], output: str, options: dict, message: str
) -> None:
    save_photos(tmp_path, "a.png", "a.jpg", "x/a.png")
    (tmp_path / "empty").mkdir()

    with pytest.raises(UsageError, match=message):
        plan_jobs([str(tmp_path / name) for name in inputs], tmp_path / output, **options)


def test_masks_are_found_by_name(tmp_path: Path) -> None:
    save_photos(tmp_path, "a.jpg", "b.jpg", "masks/a.png", "masks/b.png")

    jobs = plan_jobs([str(tmp_path)], tmp_path / "out", mask=tmp_path / "masks")

    assert [job.mask.name for job in jobs if job.mask] == ["a.png", "b.png"]
    (tmp_path / "masks" / "b.png").unlink()
    with pytest.raises(PairingError, match=r"1 of 2 images have no mask .*b\.jpg"):
        plan_jobs([str(tmp_path)], tmp_path / "out", mask=tmp_path / "masks")


def test_a_bad_file_is_told_and_the_rest_goes_on(tmp_path: Path, make_restorer: MakeRestorer) -> None:
    sources = save_photos(tmp_path, "a.png", "b.png", "c.png")
    Path(sources[1]).write_text("no photo")
    jobs = plan_jobs([*sources, str(tmp_path / "d.png")], tmp_path / "out")

    errors = [event.error for event in run_jobs(make_restorer(), jobs)]

    assert [bool(error) for error in errors] == [False, True, False, True]
    assert errors[1] == f"{sources[1]}: not an image that can be read here"
    assert errors[3].endswith("d.png: no such file")
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == ["a.png", "c.png"]


def restore_one(tmp_path: Path, restorer: Restorer, photo: Photo, target: str) -> tuple[Event, Photo]:
    write_image(tmp_path / "in.png", photo)
    (event,) = run_jobs(restorer, [Job(tmp_path / "in.png", tmp_path / target)])
    return event, read_image(tmp_path / target)


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
def test_depth_alpha_and_profile_survive(tmp_path: Path, make_restorer: MakeRestorer, dtype: type) -> None:
    values = np.random.default_rng(0).integers(0, np.iinfo(dtype).max, (16, 24, 4)).astype(dtype)
    photo = Photo(values[:, :, :3], values[:, :, 3], icc_profile=b"profile" * 30)

    event, restored = restore_one(tmp_path, make_restorer(), photo, "out.png")

    assert restored.pixels.dtype == dtype
    assert np.array_equal(restored.alpha, photo.alpha)
    assert restored.icc_profile == photo.icc_profile
    assert (event.size, event.losses) == ((24, 16), "")


def test_alpha_grows_with_the_photo(tmp_path: Path, make_restorer: MakeRestorer) -> None:
    photo = Photo(np.zeros((8, 8, 3), np.uint8), np.full((8, 8), 200, np.uint8))
    restorer = make_restorer({"unshuffle": 1, "upsample": 4, "global_skip": "nearest"})

    _, restored = restore_one(tmp_path, restorer, photo, "out.png")

    assert restored.alpha is not None
    assert restored.alpha.shape == (32, 32)
    assert (restored.alpha == 200).all()


def test_what_the_format_cannot_hold_is_told(tmp_path: Path, make_restorer: MakeRestorer) -> None:
    photo = Photo(np.full((8, 8, 3), 40_000, np.uint16), np.full((8, 8), 65_535, np.uint16))

    event, restored = restore_one(tmp_path, make_restorer(), photo, "out.jpg")

    assert event.losses == "16 bit became 8 bit, alpha dropped"
    assert restored.alpha is None
