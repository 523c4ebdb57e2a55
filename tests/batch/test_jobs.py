"""The plan of a batch, which is decided before the first file is touched."""

import os
from pathlib import Path

import numpy as np
import pytest

from diffir.batch.jobs import Job, final_target, plan_jobs
from diffir.errors import PairingError, UsageError
from diffir.image_io import Photo

SHALLOW = Photo(np.zeros((4, 4, 3), np.uint8))
DEEP = Photo(np.zeros((4, 4, 3), np.uint16))


def make_files(folder: Path, *names: str) -> list[str]:
    """Create empty files, which are not opened while jobs are planned, and return their paths."""
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).touch()
    return [str(folder / name) for name in names]


def targets(jobs: list[Job], folder: Path) -> list[str]:
    return [job.target.relative_to(folder).as_posix() for job in jobs]


def test_names_keep_their_dots_their_letters_and_their_format(tmp_path: Path) -> None:
    make_files(tmp_path, "a.1.png", "a.2.png", "Grün 1.JPG", "b.bmp")

    jobs = plan_jobs([str(tmp_path)], tmp_path / "out", suffix="_new")

    assert targets(jobs, tmp_path / "out") == ["Grün 1_new.JPG", "a.1_new.png", "a.2_new.png", "b_new.bmp"]


def test_one_file_may_be_given_its_name(tmp_path: Path) -> None:
    (source,) = make_files(tmp_path, "a.png")

    assert targets(plan_jobs([source], tmp_path / "b.webp"), tmp_path) == ["b.webp"]
    assert targets(plan_jobs([source], tmp_path / "folder"), tmp_path) == ["folder/a.png"]
    (tmp_path / "folder.png").mkdir()
    assert targets(plan_jobs([source], tmp_path / "folder.png"), tmp_path) == ["folder.png/a.png"]


def test_patterns_find_images_only(tmp_path: Path) -> None:
    make_files(tmp_path, "a.png", "b.png", "c.jpg", "b.txt")

    jobs = plan_jobs([str(tmp_path / "[ab].*")], tmp_path / "out", ext="jpg")

    assert targets(jobs, tmp_path) == ["out/a.jpg", "out/b.jpg"]


def test_a_folder_named_like_a_photo_is_no_photo(tmp_path: Path) -> None:
    make_files(tmp_path, "album.jpg/a.png", "b.png")

    assert targets(plan_jobs([str(tmp_path)], tmp_path / "out"), tmp_path / "out") == ["b.png"]
    assert targets(plan_jobs([str(tmp_path / "album.jpg")], tmp_path / "out"), tmp_path / "out") == ["a.png"]


@pytest.mark.parametrize(
    ("ext", "expected"),
    [
        ("auto", ["a.JPG", "a.png", "b.jpeg"]),
        ("jpg", ["a.jpg", "a.NEF.jpg", "b.jpg"]),
        ("png", ["a.JPG.png", "a.NEF.png", "b.png"]),
    ],
)
def test_a_raw_file_and_its_jpeg_in_one_folder_both_find_a_name(tmp_path: Path, ext: str, expected: list[str]) -> None:
    sources = make_files(tmp_path, "a.JPG", "a.NEF", "b.jpeg")

    jobs = plan_jobs(sources, tmp_path / "out", ext=ext)

    assert targets(jobs, tmp_path / "out") == expected


def test_a_file_named_twice_is_restored_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (source,) = make_files(tmp_path, "a.png")
    monkeypatch.chdir(tmp_path)

    assert len(plan_jobs([source, "a.png", ".", "*.png"], Path("out"))) == 1


def test_recursion_mirrors_the_tree_and_skips_earlier_results(tmp_path: Path) -> None:
    make_files(tmp_path, "a.png", "x/a.png", "out/x/a.png")

    jobs = plan_jobs([str(tmp_path)], tmp_path / "out", recursive=True)

    assert targets(jobs, tmp_path) == ["out/a.png", "out/x/a.png"]


@pytest.mark.parametrize("output", [".", "photos"])
def test_an_output_folder_above_the_photos_hides_none_of_them(tmp_path: Path, output: str) -> None:
    make_files(tmp_path, "photos/a.png", "photos/x/b.png")

    jobs = plan_jobs([str(tmp_path / "photos")], tmp_path / output, recursive=True, suffix="_new")

    assert targets(jobs, tmp_path / output) == ["a_new.png", "x/b_new.png"]


@pytest.mark.parametrize(
    ("inputs", "output", "options", "message"),
    [
        (["a.png", "x/a.png"], "out", {}, "would both become .* different output folders"),
        (["a.png"], "out", {"suffix": "x/y"}, "cannot be part of a file's name"),
        (["a.png"], "out.pgn", {}, "out.pgn has a suffix that cannot be written .* add a /"),
        (["a.png"], "out", {"save_prior": Path("prior.png")}, "priors go to a folder"),
        (["a.JPG", "a.jpg"], "out", {"ext": "jpg"}, r"would both become .*a\.jpg; leave one out: .*\*\.jpg names"),
        (["a.png", "x/a.png"], "out", {"ext": "jpg"}, "would both become .* different output folders"),
        (["."], ".", {}, "would be overwritten"),
        (["a.png"], "a.png", {}, "would be overwritten"),
        (["a.png", "a.jpg"], "out.png", {}, "names one file"),
        (["."], "out.png", {}, "names one file"),
        (["a.png"], "out.png", {"ext": "jpg"}, "give a folder"),
        (["a.png"], "out.ppm", {}, "cannot write a photo to .ppm"),
        (["a.png"], "out.mp4", {}, "cannot write a photo to .mp4"),
        (["clip.mkv"], "out.png", {}, "cannot write a video to .png"),
        (["clip.mkv"], "out", {"save_prior": Path("prior")}, "is a video"),
        (["a.png"], "out", {"ext": "ppm"}, "cannot write .ppm"),
        (["empty"], "out", {}, "no image in"),
        (["*.bmp"], "out", {}, "no image and no video matches"),
        ([], "out", {}, "no input"),
        (["a.png"], "notes.txt", {}, "notes.txt is a file, and results need a folder there"),
        (["a.png"], "notes.txt/out", {}, "notes.txt is a file, and results need a folder there"),
    ],
)
def test_impossible_plans_are_refused(
    tmp_path: Path, inputs: list[str], output: str, options: dict, message: str
) -> None:
    make_files(tmp_path, "a.png", "a.jpg", "a.JPG", "x/a.png", "notes.txt", "clip.mkv")
    (tmp_path / "empty").mkdir()

    with pytest.raises(UsageError, match=message):
        plan_jobs([str(tmp_path / name) for name in inputs], tmp_path / output, **options)


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() == 0, reason="everything is permitted to root")
def test_a_folder_without_permission_is_reported_at_once(tmp_path: Path) -> None:
    (source,) = make_files(tmp_path, "a.png")
    (tmp_path / "closed").mkdir(mode=0o500)

    with pytest.raises(UsageError, match=r"no permission to write into .*closed"):
        plan_jobs([source], tmp_path / "closed" / "out")


def test_a_format_that_cannot_hold_a_photo_is_replaced(tmp_path: Path) -> None:
    (job,) = plan_jobs(make_files(tmp_path, "a.b.jpg"), tmp_path / "out")

    assert final_target(job, SHALLOW) == tmp_path / "out" / "a.b.jpg"
    assert final_target(job, DEEP) == tmp_path / "out" / "a.b.png"


def test_videos_are_restored_where_they_are_named_and_keep_their_format(tmp_path: Path) -> None:
    make_files(tmp_path, "a.png", "clip.MP4")

    assert targets(plan_jobs([str(tmp_path)], tmp_path / "out"), tmp_path / "out") == ["a.png"]
    jobs = plan_jobs([str(tmp_path / "*")], tmp_path / "out", ext="jpg")
    assert targets(jobs, tmp_path / "out") == ["a.jpg", "clip.MP4"]
    assert [job.is_video for job in jobs] == [False, True]


def test_a_result_too_large_for_a_format_goes_to_another(tmp_path: Path) -> None:
    (job,) = plan_jobs(make_files(tmp_path, "a.webp"), tmp_path / "out")
    wide = Photo(np.zeros((1, 5000, 3), np.uint8))

    assert [final_target(job, wide, scale).name for scale in (1, 4)] == ["a.webp", "a.png"]


@pytest.mark.parametrize(("output", "options"), [("out.jpg", {}), ("out", {"ext": "jpg"})])
def test_a_requested_format_is_kept(tmp_path: Path, output: str, options: dict) -> None:
    (job,) = plan_jobs(make_files(tmp_path, "a.png"), tmp_path / output, **options)

    assert final_target(job, DEEP) == job.target


@pytest.mark.parametrize(
    "names",
    [
        ("a.jpg", "a.png"),
        ("a.jpg", "a.jpg.png", "a.png"),
        ("a.jpg", "a.bmp", "a.webp", "a.jpg.bmp"),
        ("a.jp2", "a.png"),
        ("a.jp2", "a.ppm"),
        ("a.jpg", "x/a.jpg", "x/a.png"),
        ("a.jfif", "a.jpg", "a.jpeg"),
    ],
)
def test_whatever_the_photos_hold_no_two_write_one_file_and_none_an_input(
    tmp_path: Path, names: tuple[str, ...]
) -> None:
    make_files(tmp_path, *names)

    jobs = plan_jobs([str(tmp_path)], tmp_path, suffix="_x", recursive=True)

    written = [{final_target(job, SHALLOW), final_target(job, DEEP)} for job in jobs]
    assert len(set().union(*written)) == sum(map(len, written))
    assert not set().union(*written) & {job.source for job in jobs}


def test_a_changed_format_never_hits_an_input(tmp_path: Path) -> None:
    sources = make_files(tmp_path, "a.jpg", "a_x.png")

    jobs = plan_jobs(sources, tmp_path, suffix="_x")

    assert final_target(jobs[0], DEEP) == tmp_path / "a_x.jpg.png"


def test_masks_are_found_by_name(tmp_path: Path) -> None:
    make_files(tmp_path, "a.jpg", "b.jpg", "masks/a.png", "masks/b.png")

    jobs = plan_jobs([str(tmp_path)], tmp_path / "out", mask=tmp_path / "masks")

    assert [job.mask.name for job in jobs if job.mask] == ["a.png", "b.png"]
    (tmp_path / "masks" / "b.png").unlink()
    with pytest.raises(PairingError, match=r"1 of 2 images have no mask .*b\.jpg"):
        plan_jobs([str(tmp_path)], tmp_path / "out", mask=tmp_path / "masks")


def test_one_prior_goes_to_a_file_and_many_to_a_folder(tmp_path: Path) -> None:
    sources = make_files(tmp_path, "a.jpg", "a.png", "b.png", "file")

    (single,) = plan_jobs(sources[2:3], tmp_path / "out.png", save_prior=tmp_path / "b.safetensors")
    many = plan_jobs(sources[:3], tmp_path / "out", save_prior=tmp_path / "priors")

    assert single.prior_target == tmp_path / "b.safetensors"
    names = [job.prior_target.relative_to(tmp_path / "priors").as_posix() for job in many if job.prior_target]
    assert names == ["a.jpg.prior.safetensors", "a.png.prior.safetensors", "b.prior.safetensors"]
    with pytest.raises(UsageError, match="priors go to a folder"):
        plan_jobs(sources[:3], tmp_path / "out", save_prior=tmp_path / "file")


def test_a_slash_says_that_a_folder_is_meant(tmp_path: Path) -> None:
    (source,) = make_files(tmp_path, "a.png")

    names = [targets(plan_jobs([source], f"{tmp_path}/{name}"), tmp_path) for name in ("out.xyz/", "b.png/", "v1.5")]

    assert names == [["out.xyz/a.png"], ["b.png/a.png"], ["v1.5/a.png"]]


@pytest.mark.parametrize(
    ("output", "options"),
    [
        ("out.png", {"save_prior": "a.png"}),
        ("out.png", {"save_prior": "given.safetensors"}),
        ("masks", {"mask": "masks"}),
        ("mask.png", {"mask": "mask.png"}),
        ("out.png", {"save_prior": "photos"}),
    ],
)
def test_nothing_that_is_read_is_written_over(tmp_path: Path, output: str, options: dict[str, str]) -> None:
    (source, *_) = make_files(tmp_path, "a.png", "masks/a.png", "mask.png", "given.safetensors", "photos")
    paths = {name: tmp_path / path for name, path in options.items()}

    with pytest.raises(UsageError, match=r"would be overwritten|priors go to a folder"):
        plan_jobs([source], tmp_path / output, protected_paths=[tmp_path / "given.safetensors"], **paths)


def test_a_changed_format_never_hits_a_mask(tmp_path: Path) -> None:
    (source, _) = make_files(tmp_path, "a.jpg", "masks/a.png")

    (job,) = plan_jobs([source], tmp_path / "masks", mask=tmp_path / "masks")

    assert final_target(job, DEEP) == tmp_path / "masks" / "a.jpg.png"


def test_results_in_place_are_not_taken_for_photos_when_a_run_goes_on(tmp_path: Path) -> None:
    make_files(tmp_path, "a.png", "a_r.png", "b.png")

    jobs = plan_jobs([str(tmp_path)], tmp_path, suffix="_r", skip_existing=True)

    assert [job.source.name for job in jobs] == ["a.png", "b.png"]
    with pytest.raises(UsageError, match="would be overwritten"):  # it may be a photo of that name
        plan_jobs([str(tmp_path)], tmp_path, suffix="_r")


def test_a_target_that_cannot_be_is_known_before_restoring(tmp_path: Path) -> None:
    sources = make_files(tmp_path, "a.png", "b.mp4", f"{'c' * 250}.png", "d.png")
    for name in ("a_new.png", "b_new.mp4"):
        (tmp_path / "out" / name).mkdir(parents=True)

    refusals = [job.refusal for job in plan_jobs(sources, tmp_path / "out", suffix="_new")]

    assert ["a folder has that name" in refusal for refusal in refusals] == [True, True, False, False]
    assert ["too long" in refusal for refusal in refusals] == [False, False, True, False]


def test_a_refused_input_may_stand_alone(tmp_path: Path) -> None:
    for output in ("out", "out.png"):
        (job,) = plan_jobs([f"{'x' * 300}.png"], tmp_path / output)
        assert "File name too long" in job.refusal


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no pipes")
def test_a_mask_that_is_a_pipe_is_refused(tmp_path: Path) -> None:
    sources = make_files(tmp_path, "a.png")
    os.mkfifo(tmp_path / "mask.png")

    with pytest.raises(UsageError, match="not a file; choose another mask"):
        plan_jobs(sources, tmp_path / "out", mask=tmp_path / "mask.png")
