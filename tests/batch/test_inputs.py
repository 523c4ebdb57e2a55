"""Input files that are found, also those that the operating system refuses."""

import logging
import os
from pathlib import Path

import pytest

from diffir.batch.inputs import FoundFile, find_inputs
from diffir.errors import UsageError

LONG = "x" * 300  # no file system that is common takes such a name
as_a_user = pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() == 0, reason="root may do everything")
needs_links = pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no links, no pipes")


def make_files(folder: Path, *names: str) -> None:
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).touch()


def found_in(folder: Path, *inputs: str, recursive: bool = False) -> list[FoundFile]:
    return find_inputs([str(folder / name) for name in inputs], folder / "out", recursive=recursive)


def test_a_name_that_is_too_long_fails_alone(tmp_path: Path) -> None:
    make_files(tmp_path, "a.png")

    good, bad = found_in(tmp_path, "a.png", f"{LONG}.png")

    assert not good.refusal
    assert bad.refusal == f"{bad.source}: cannot be read (File name too long)"


@needs_links
def test_a_link_in_a_circle_fails_alone(tmp_path: Path) -> None:
    make_files(tmp_path, "in/a.png")
    (tmp_path / "in" / "b.png").symlink_to("b.png")

    good, bad = found_in(tmp_path, "in")

    assert not good.refusal
    assert "symbolic links" in bad.refusal


@needs_links
def test_a_pipe_is_not_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "a.png")

    (pipe,) = found_in(tmp_path, "a.png")

    assert pipe.refusal == f"{tmp_path / 'a.png'}: a pipe or a device, not a file"


@as_a_user
def test_a_photo_in_a_closed_folder_fails_alone(tmp_path: Path) -> None:
    make_files(tmp_path, "a.png", "closed/b.png")
    (tmp_path / "closed").chmod(0)

    good, bad = found_in(tmp_path, "a.png", "closed/b.png")

    (tmp_path / "closed").chmod(0o700)
    assert not good.refusal
    assert bad.refusal == f"{bad.source}: cannot be read (Permission denied)"


@as_a_user
@pytest.mark.parametrize("mode", [0, 0o300])
def test_a_subfolder_that_cannot_be_listed_is_reported(tmp_path: Path, mode: int) -> None:
    make_files(tmp_path, "in/a.png", "in/closed/b.png")
    (tmp_path / "in" / "closed").chmod(mode)

    bad, good = found_in(tmp_path, "in", recursive=True)

    (tmp_path / "in" / "closed").chmod(0o700)
    assert (good.below, good.refusal) == (Path("a.png"), "")
    assert bad.refusal == f"{tmp_path / 'in' / 'closed'}: cannot be read (Permission denied)"


@as_a_user
@pytest.mark.parametrize("mode", [0, 0o400, 0o300])
def test_a_folder_that_is_refused_becomes_a_failure(tmp_path: Path, mode: int) -> None:
    make_files(tmp_path, "in/a.png")
    (tmp_path / "in").chmod(mode)

    (bad,) = found_in(tmp_path, "in")

    (tmp_path / "in").chmod(0o700)
    assert "Permission denied" in bad.refusal


@pytest.mark.parametrize("recursive", [False, True])
def test_folders_are_listed_sorted_without_hidden_files(tmp_path: Path, recursive: bool) -> None:
    make_files(tmp_path, "in/b.PNG", "in/a.jpg", "in/.c.png", "in/d.txt", "in/x/e.tif")

    names = [file.below.as_posix() for file in found_in(tmp_path, "in", recursive=recursive)]

    assert names == ["a.jpg", "b.PNG", *(["x/e.tif"] if recursive else [])]


def test_videos_of_a_folder_are_left_out_with_a_message(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    make_files(tmp_path, "both/a.png", "both/b.mp4", "videos/c.mkv")

    with caplog.at_level(logging.INFO):
        (photo,) = found_in(tmp_path, "both")

    assert photo.source.name == "a.png"
    assert caplog.messages == [f"1 videos in {tmp_path / 'both'} are left out: name them, or give a pattern"]
    with pytest.raises(UsageError, match="1 videos in"):
        found_in(tmp_path, "videos")


def test_an_empty_name_is_not_the_current_folder() -> None:
    with pytest.raises(UsageError, match="empty name"):
        find_inputs([""], Path("out"), recursive=False)


def test_images_that_a_folder_holds_under_other_suffixes_are_not_passed_over_silently(tmp_path: Path, caplog) -> None:
    (tmp_path / "a.png").touch()
    (tmp_path / "two.MPO").touch()
    (tmp_path / "layers.psd").touch()
    (tmp_path / "photo").write_bytes(b"\xff\xd8\xff\xe0 of a JPEG")
    (tmp_path / "notes.txt").write_bytes(b"\xff\xd8\xff\xe0 of a JPEG")
    (tmp_path / "sidecar").write_text("of another program")

    with caplog.at_level(logging.INFO):
        found = find_inputs([str(tmp_path)], tmp_path / "out", recursive=False)

    assert [file.source.name for file in found] == ["a.png", "two.MPO"]
    assert caplog.messages == [
        f"2 files in {tmp_path} look like images and are left out for their suffix: layers.psd, photo"
    ]
