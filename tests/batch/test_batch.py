"""A batch of many files, some of which are bad."""

import shutil
import subprocess
import threading
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from diffir.batch.batch import run_jobs
from diffir.batch.events import Event, Settings, Stop
from diffir.batch.jobs import Job, plan_jobs
from diffir.errors import UsageError
from diffir.image_io import Photo, read_image, write_image
from diffir.inference.prior_file import load_prior
from diffir.inference.restorer import Restorer

MakeRestorer = Callable[..., Restorer]


def save_photos(folder: Path, *names: str, size: tuple[int, int] = (16, 24)) -> list[str]:
    """Write small photos with different content and return their paths."""
    for seed, name in enumerate(names):
        pixels = np.random.default_rng(seed).integers(0, 256, (*size, 3), dtype=np.uint8)
        write_image(folder / name, pixels)
    return [str(folder / name) for name in names]


def restore_one(tmp_path: Path, restorer: Restorer, photo: Photo, target: str) -> tuple[Event, Photo]:
    write_image(tmp_path / "in.png", photo)
    (event,) = run_jobs(restorer, [Job(tmp_path / "in.png", tmp_path / target)])
    return event, read_image(tmp_path / target)


def test_a_bad_file_is_reported_and_the_others_go_on(tmp_path: Path, make_restorer: MakeRestorer) -> None:
    sources = save_photos(tmp_path, "a.png", "b.png", "c.png")
    Path(sources[1]).write_text("no photo")
    jobs = plan_jobs([*sources, str(tmp_path / "d.png")], tmp_path / "out")

    errors = [event.error for event in run_jobs(make_restorer(), jobs)]

    assert [bool(error) for error in errors] == [False, True, False, True]
    assert errors[1].startswith(f"{sources[1]}: not an image in a format that can be read")
    assert errors[3].endswith("d.png: no such file")
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == ["a.png", "c.png"]


def test_an_unexpected_error_is_one_line_of_one_file(tmp_path: Path, make_restorer: MakeRestorer) -> None:
    class Buggy(Restorer):
        """A restorer with a bug that small images trigger."""

        def restore(self, image: np.ndarray, *rest: object, **more: object) -> np.ndarray:
            if image.shape[0] == 8:
                raise ZeroDivisionError("division\nby zero")
            return super().restore(image, *rest, **more)

    restorer = make_restorer()
    restorer.__class__ = Buggy
    sources = [*save_photos(tmp_path, "a.png", size=(8, 8)), *save_photos(tmp_path, "b.png")]

    bad, good = run_jobs(restorer, plan_jobs(sources, tmp_path / "out"))

    assert bad.error == f"{sources[0]}: ZeroDivisionError: division by zero"
    assert good.outcome == "done"


def test_a_target_that_cannot_be_written_is_one_line(tmp_path: Path, make_restorer: MakeRestorer) -> None:
    sources = save_photos(tmp_path, "a.png", "b.png")
    (tmp_path / "out" / "a.png").mkdir(parents=True)

    bad, good = run_jobs(make_restorer(), plan_jobs(sources, tmp_path / "out"))

    assert bad.error.startswith(f"{tmp_path / 'out' / 'a.png'}: cannot be written (")
    assert good.outcome == "done"


def test_a_full_disk_is_one_line(tmp_path: Path, make_restorer: MakeRestorer) -> None:
    if not Path("/dev/full").exists():
        pytest.skip("this system has no /dev/full")
    (source,) = save_photos(tmp_path, "a.png")
    (tmp_path / "full.png").symlink_to("/dev/full")

    (event,) = run_jobs(make_restorer(), [Job(Path(source), tmp_path / "full.png")])

    assert event.error.startswith(f"{tmp_path / 'full.png'}: cannot be written (")
    assert "No space left on device" in event.error


def test_wrong_usage_is_raised_and_leaves_no_thread_behind(tmp_path: Path, make_restorer: MakeRestorer) -> None:
    restorer = make_restorer({"in_channels": 4, "unshuffle": 1, "upsample": 1, "global_skip": "none"})
    jobs = plan_jobs(save_photos(tmp_path, "a.png", "b.png"), tmp_path / "out")

    with pytest.raises(UsageError, match="needs a mask"):
        list(run_jobs(restorer, jobs))

    assert not [thread for thread in threading.enumerate() if thread.name.startswith("diffir")]


def test_existing_results_are_skipped_also_in_another_format(tmp_path: Path, make_restorer: MakeRestorer) -> None:
    (tmp_path / "b.png").touch()
    save_photos(tmp_path, "a.png", "c.png")
    write_image(tmp_path / "b.png", np.zeros((8, 8, 3), np.uint16))
    (tmp_path / "b.png").rename(tmp_path / "b.jpg")  # 16 bit, which no JPEG can hold
    jobs = plan_jobs([str(tmp_path)], tmp_path / "out")
    first = list(run_jobs(make_restorer(), jobs[:2]))

    again = list(run_jobs(make_restorer(), jobs, Settings(skip_existing=True)))

    assert [event.target.name for event in first] == ["a.png", "b.png"]
    assert first[1].notes == ("jpg became png",)
    assert [event.outcome for event in again] == ["skipped", "skipped", "done"]
    assert [event.target for event in again[:2]] == [event.target for event in first]


@pytest.mark.parametrize("workers", [1, 2])
def test_events_come_in_the_order_of_jobs(tmp_path: Path, make_restorer: MakeRestorer, workers: int) -> None:
    names = [f"{number}.png" for number in range(9)]
    for number, name in enumerate(names):
        save_photos(tmp_path, name, size=(8, 8) if number % 2 else (96, 96))
    (tmp_path / "8.png").write_bytes(b"")

    events = list(run_jobs([make_restorer() for _ in range(workers)], plan_jobs([str(tmp_path)], tmp_path / "out")))

    assert [event.job.source.name for event in events] == names
    assert [event.outcome for event in events] == ["done"] * 8 + ["failed"]
    assert [event.size for event in events[:2]] == [(96, 96), (8, 8)]


@pytest.mark.parametrize("batch_size", [2, 3, 8])
def test_together_or_one_by_one_results_are_equal(tmp_path: Path, make_restorer: MakeRestorer, batch_size: int) -> None:
    save_photos(tmp_path, "a.png", "b.png", "c.png", "e.png", "f.png")
    save_photos(tmp_path, "d.png", size=(40, 24))
    restorer = make_restorer()
    for folder, size in (("one", 1), ("together", batch_size)):
        list(run_jobs(restorer, plan_jobs([str(tmp_path)], tmp_path / folder), Settings(batch_size=size)))

    for path in (tmp_path / "one").iterdir():
        alone, together = read_image(path).pixels, read_image(tmp_path / "together" / path.name).pixels
        assert np.array_equal(alone, together), path.name
        assert not np.array_equal(alone, read_image(tmp_path / path.name).pixels)


def test_photos_that_fail_together_are_tried_alone(tmp_path: Path, make_restorer: MakeRestorer) -> None:
    class SmallMemory(Restorer):
        """A restorer whose device has memory for one photo only."""

        def restore_batch(self, images: list[np.ndarray], *rest: object, **more: object) -> list[np.ndarray]:
            if len(images) > 1:
                raise MemoryError
            return super().restore_batch(images, *rest, **more)

    restorer = make_restorer()
    restorer.__class__ = SmallMemory
    jobs = plan_jobs(save_photos(tmp_path, "a.png", "b.png"), tmp_path / "out")

    events = list(run_jobs(restorer, jobs, Settings(batch_size=2)))

    assert [event.outcome for event in events] == ["done", "done"]


def test_after_a_stop_the_current_file_is_finished_and_no_other_started(
    tmp_path: Path, make_restorer: MakeRestorer
) -> None:
    class Stopping(Restorer):
        """A restorer during whose second photo the user asks to stop."""

        def restore_batch(self, *photos: object, **more: object) -> list[np.ndarray]:
            asked.append(photos)
            if len(asked) == 2:
                stop.request()
            return super().restore_batch(*photos, **more)

    save_photos(tmp_path, *(f"{number}.png" for number in range(9)))
    stop, asked, restorer = Stop(), [], make_restorer()
    restorer.__class__ = Stopping
    jobs = plan_jobs([str(tmp_path)], tmp_path / "out")

    events = list(run_jobs(restorer, jobs, Settings(batch_size=1), stop=stop))

    assert [event.outcome for event in events] == ["done", "done"]
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == sorted(e.target.name for e in events)


def test_a_caller_who_stops_listening_leaves_no_thread_and_no_half_file(
    tmp_path: Path, make_restorer: MakeRestorer
) -> None:
    save_photos(tmp_path, *(f"{number}.png" for number in range(20)), size=(64, 64))
    events = run_jobs(make_restorer(), plan_jobs([str(tmp_path)], tmp_path / "out"))

    next(events)
    events.close()

    assert not [thread for thread in threading.enumerate() if thread.name.startswith("diffir")]
    assert all(read_image(path).pixels.shape == (64, 64, 3) for path in (tmp_path / "out").iterdir())


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
def test_depth_alpha_and_profile_survive(tmp_path: Path, make_restorer: MakeRestorer, dtype: type) -> None:
    values = np.random.default_rng(0).integers(0, np.iinfo(dtype).max, (16, 24, 4)).astype(dtype)
    photo = Photo(values[:, :, :3], values[:, :, 3], icc_profile=b"profile" * 30)

    event, restored = restore_one(tmp_path, make_restorer(), photo, "out.png")

    assert restored.pixels.dtype == dtype
    assert np.array_equal(restored.alpha, photo.alpha)
    assert restored.icc_profile == photo.icc_profile
    assert (event.size, event.pixels, event.losses) == ((24, 16), 24 * 16, "")


def test_alpha_grows_with_the_photo(tmp_path: Path, make_restorer: MakeRestorer) -> None:
    photo = Photo(np.zeros((8, 8, 3), np.uint8), np.full((8, 8), 200, np.uint8))
    restorer = make_restorer({"unshuffle": 1, "upsample": 4, "global_skip": "nearest"})

    _, restored = restore_one(tmp_path, restorer, photo, "out.png")

    assert restored.alpha is not None
    assert restored.alpha.shape == (32, 32)
    assert (restored.alpha == 200).all()


def test_what_the_format_cannot_hold_is_reported(tmp_path: Path, make_restorer: MakeRestorer) -> None:
    photo = Photo(np.full((8, 8, 3), 40_000, np.uint16), np.full((8, 8), 65_535, np.uint16))

    event, restored = restore_one(tmp_path, make_restorer(), photo, "out.jpg")

    assert event.losses == "16 bit became 8 bit, alpha dropped"
    assert restored.alpha is None


def test_metadata_go_only_on_request_and_quality_counts(tmp_path: Path, make_restorer: MakeRestorer) -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (32, 32, 3), dtype=np.uint8)
    write_image(tmp_path / "in.jpg", Photo(pixels, exif=b"Exif\0\0MM\0*\0\0\0\x08\0\0\0\0\0\0"))
    sizes, blocks = [], []

    for number, settings in enumerate((Settings(), Settings(quality=20, strip_metadata=True))):
        target = tmp_path / f"{number}.jpg"
        list(run_jobs(make_restorer(), [Job(tmp_path / "in.jpg", target)], settings))
        sizes.append(target.stat().st_size)
        blocks.append(read_image(target).exif)

    assert sizes[1] < sizes[0] / 2
    assert [bool(block) for block in blocks] == [True, False]


def test_photos_above_the_limit_are_refused(tmp_path: Path, make_restorer: MakeRestorer) -> None:
    jobs = plan_jobs(save_photos(tmp_path, "a.png"), tmp_path / "out")

    (event,) = run_jobs(make_restorer(), jobs, Settings(max_pixels=16 * 24 - 1))

    assert "--max_pixels" in event.error


@pytest.mark.parametrize("batch_size", [1, 2])
def test_saved_priors_are_those_of_the_photos(tmp_path: Path, make_restorer: MakeRestorer, batch_size: int) -> None:
    sources, restorer = save_photos(tmp_path, "a.png", "b.png"), make_restorer()
    jobs = plan_jobs(sources, tmp_path / "out", save_prior=tmp_path / "priors")

    list(run_jobs(restorer, jobs, Settings(batch_size=batch_size)))

    for job in jobs:
        assert job.prior_target is not None
        prior, name = load_prior(job.prior_target)
        expected = restorer.estimate_prior_of(read_image(job.source).pixels)
        assert np.allclose(prior, expected, atol=1e-6)
        assert name == "toy"


def make_clip(path: Path) -> Path:
    if shutil.which("ffmpeg") is None:
        pytest.skip("ffmpeg is not installed")
    source = ["-f", "lavfi", "-i", "testsrc=size=32x24:rate=5:duration=1"]
    subprocess.run(["ffmpeg", "-v", "error", *source, str(path)], check=True, stdin=subprocess.DEVNULL)
    return path


def test_a_video_is_a_file_like_any_other(tmp_path: Path, make_restorer: MakeRestorer) -> None:
    clip, (photo,) = make_clip(tmp_path / "clip.mp4"), save_photos(tmp_path, "a.png")
    jobs = plan_jobs([str(clip), photo], tmp_path / "out")

    events = list(run_jobs(make_restorer(), jobs))
    again = list(run_jobs(make_restorer(), jobs, Settings(skip_existing=True)))

    assert [event.error for event in events] == ["", ""]
    assert (events[0].target, events[0].size) == (tmp_path / "out" / "clip.mp4", (32, 24))
    assert events[0].pixels == 5 * 32 * 24
    assert [event.outcome for event in again] == ["skipped", "skipped"]


def test_a_video_without_ffmpeg_is_one_line(
    tmp_path: Path, make_restorer: MakeRestorer, monkeypatch: pytest.MonkeyPatch
) -> None:
    sources = [str(tmp_path / "clip.mp4"), *save_photos(tmp_path, "a.png")]
    (tmp_path / "clip.mp4").touch()
    monkeypatch.setenv("PATH", str(tmp_path))

    bad, good = run_jobs(make_restorer(), plan_jobs(sources, tmp_path / "out"))

    assert "video needs the programs ffmpeg and ffprobe" in bad.error
    assert good.outcome == "done"


def test_a_stopped_video_resumes(tmp_path: Path, make_restorer: MakeRestorer) -> None:
    jobs = plan_jobs([str(make_clip(tmp_path / "clip.mp4"))], tmp_path / "out")
    stop, restorer = Stop(), make_restorer()

    class Stopping(Restorer):
        """A restorer that requests a stop, as Ctrl-C does, while a frame is restored."""

        def restore(self, image: np.ndarray, *rest: object, **more: object) -> np.ndarray:
            if image.shape[0] == 24:
                stop.request()
            return super().restore(image, *rest, **more)

    restorer.__class__ = Stopping
    (stopped,) = run_jobs(restorer, jobs, stop=stop)
    (finished,) = run_jobs(make_restorer(), jobs)

    assert "stopped" in stopped.error
    assert finished.notes == ("1 of 5 frames are from an earlier run",)
    assert finished.outcome == "done"


def test_a_refused_file_is_reported_without_being_restored(tmp_path: Path, make_restorer: MakeRestorer) -> None:
    sources = save_photos(tmp_path, "a.png", "b.png")
    (tmp_path / "out" / "a.png").mkdir(parents=True)

    bad, good = run_jobs(make_restorer(), plan_jobs(sources, tmp_path / "out"), Settings(batch_size=2))

    assert bad.error == f"{tmp_path / 'out' / 'a.png'}: cannot be written (a folder has that name)"
    assert (bad.seconds, good.outcome) == (0, "done")


def test_an_empty_result_is_restored_again(tmp_path: Path, make_restorer: MakeRestorer) -> None:
    sources = save_photos(tmp_path, "a.png")
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "a.png").touch()

    outcomes = [
        next(run_jobs(make_restorer(), plan_jobs(sources, tmp_path / "out"), Settings(skip_existing=True))).outcome
        for _ in range(2)
    ]

    assert outcomes == ["done", "skipped"]


@pytest.mark.parametrize(("name", "notes"), [("a.ppm", ("ppm became png",)), ("a.PNG", ())])
def test_a_change_of_format_is_noted(
    tmp_path: Path, make_restorer: MakeRestorer, name: str, notes: tuple[str, ...]
) -> None:
    (source,) = save_photos(tmp_path, "a.png")
    Path(source).rename(tmp_path / name)

    (event,) = run_jobs(make_restorer(), plan_jobs([str(tmp_path / name)], tmp_path / "out"))

    assert event.outcome == "done"
    assert event.notes == notes


@pytest.mark.parametrize(("tile", "notes"), [(5, ("tile rounded up from 5",)), (32, ())])
def test_a_tile_that_had_to_grow_is_noted(
    tmp_path: Path, make_restorer: MakeRestorer, tile: int, notes: tuple[str, ...]
) -> None:
    sources = save_photos(tmp_path, "a.png", size=(64, 64))

    (event,) = run_jobs(make_restorer(tile=tile, tile_overlap=8), plan_jobs(sources, tmp_path / "out"))

    assert event.notes == notes
