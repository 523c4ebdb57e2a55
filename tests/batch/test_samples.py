"""Several results of one file: their names, their mean, and the map of their standard deviation."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from diffir.batch.batch import run_jobs
from diffir.batch.events import Settings
from diffir.batch.jobs import Job, plan_jobs
from diffir.errors import UsageError
from diffir.image_io import Photo, read_image, write_image
from diffir.inference.restorer import Restorer
from diffir.inference.samples import seeds_of

MakeRestorer = Callable[..., Restorer]
EXIF = b"Exif\0\0II*\0\x08\0\0\0\x01\0\x0f\x01\x02\0\x04\0\0\0abc\0\0\0\0\0"  # the maker of the camera is "abc"


def make_files(folder: Path, *names: str) -> list[str]:
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).touch()
    return [str(folder / name) for name in names]


def written(jobs: list[Job], folder: Path) -> list[str]:
    return [path.relative_to(folder).as_posix() for job in jobs for path in job.targets]


@pytest.fixture
def restorer(make_restorer: MakeRestorer) -> Restorer:
    """A restorer whose results depend on the seed."""
    return make_restorer(seed=7)


@pytest.fixture
def photo(tmp_path: Path) -> str:
    """A photo of 16 bits, in which results that differ little differ, with metadata."""
    pixels = np.random.default_rng(0).integers(0, 65536, (16, 24, 3), dtype=np.uint16)
    write_image(tmp_path / "a.png", Photo(pixels, exif=EXIF))
    return str(tmp_path / "a.png")


def test_each_sample_is_a_job_with_a_name_and_a_seed_of_its_own(tmp_path: Path) -> None:
    sources = make_files(tmp_path, "a.1.jpg", "b.heic")

    jobs = plan_jobs(sources, tmp_path / "out", samples=2, suffix="_x")

    assert written(jobs, tmp_path / "out") == ["a.1_x_s1.jpg", "a.1_x_s2.jpg", "b_x_s1.png", "b_x_s2.png"]
    assert [job.seed_steps[0] for job in jobs] == [0, 1, 0, 1]
    assert written(plan_jobs(sources[:1], tmp_path / "c.png", samples=2), tmp_path) == ["c_s1.png", "c_s2.png"]


def test_a_map_has_a_name_that_no_other_file_has(tmp_path: Path) -> None:
    sources = make_files(tmp_path, "a.jpg", "a.tif", "b.png", "b_std.gif")

    jobs = plan_jobs(sources, tmp_path / "out", samples=4, uncertainty=True)

    maps = [job.deviation_target.name for job in jobs if job.deviation_target is not None]
    assert maps == ["a.jpg_std.png", "a.tif_std.png", "b_std.png", "b_std_std.png"]
    assert jobs[3].target_stem == tmp_path / "out" / "b_std.gif"  # as a PNG it would become the map of b
    with pytest.raises(UsageError, match=r"would both become .*b_std\.png"):
        plan_jobs(make_files(tmp_path, "b.png", "b_std.png"), tmp_path / "out", samples=4, uncertainty=True)


@pytest.mark.parametrize("uncertainty", [False, True])
def test_results_beside_the_photos_are_no_photos_when_a_batch_goes_on(tmp_path: Path, uncertainty: bool) -> None:
    make_files(tmp_path, "a.png", "a_r.png", "a_r_std.png", "a_r_s1.png", "a_r_s2.png")

    def sources(**options: bool) -> set[str]:
        jobs = plan_jobs([str(tmp_path)], tmp_path, suffix="_r", samples=2, uncertainty=uncertainty, **options)
        return {job.source.name for job in jobs}

    results = {"a_r.png", "a_r_std.png"} if uncertainty else {"a_r_s1.png", "a_r_s2.png"}
    assert sources(skip_existing=True) == {path.name for path in tmp_path.iterdir()} - results


def test_samples_are_the_results_of_consecutive_seeds(tmp_path: Path, restorer: Restorer, photo: str) -> None:
    events = list(run_jobs(restorer, plan_jobs([photo], tmp_path / "out", samples=2), Settings(batch_size=4)))

    assert [event.notes for event in events] == [(), ("seed 8",)]
    for event, seed in zip(events, (7, 8), strict=True):
        result = read_image(event.target)
        assert np.array_equal(result.pixels, restorer.with_seed(seed).restore(read_image(photo).pixels))
        assert result.exif == EXIF
    assert not np.array_equal(*(read_image(event.target).pixels for event in events))


def test_the_mean_keeps_metadata_and_the_map_says_what_its_values_mean(
    tmp_path: Path, restorer: Restorer, photo: str
) -> None:
    (job,) = plan_jobs([photo], tmp_path / "out", samples=3, uncertainty=True)
    pixels = read_image(photo).pixels
    results = np.stack([restorer.with_seed(seed).restore(pixels) / 65535 for seed in (7, 8, 9)])

    (event,) = run_jobs(restorer, [job])

    mean, deviation = read_image(job.target), read_image(job.deviation_target or "")
    assert mean.exif == EXIF
    assert np.abs(mean.pixels / 65535 - results.mean(axis=0)).max() < 1 / 65535
    levels = 255 * results.std(axis=0).mean(axis=2)
    assert deviation.pixels.shape == (16, 24, 1) and deviation.pixels.dtype == np.uint8
    assert np.abs(deviation.pixels[:, :, 0] - np.clip(8 * levels, 0, 255)).max() <= 0.51
    assert b"grey value divided by 8, in levels of 255" in (deviation.xmp or b"")
    assert event.notes == (f"mean of 3 results, seeds 7 to 9; standard deviation {levels.mean():.2f} of 255",)


def test_a_result_without_its_map_is_made_again(tmp_path: Path, restorer: Restorer, photo: str) -> None:
    jobs, settings = plan_jobs([photo], tmp_path / "out", samples=2, uncertainty=True), Settings(skip_existing=True)

    outcomes = [event.outcome for _ in range(2) for event in run_jobs(restorer, jobs, settings)]
    (tmp_path / "out" / "a_std.png").unlink()
    outcomes += [event.outcome for event in run_jobs(restorer, jobs, settings)]

    assert outcomes == ["done", "skipped", "done"]


def test_pages_have_no_mean(tmp_path: Path, restorer: Restorer) -> None:
    frames = [np.full((8, 8, 3), grey, np.uint8) for grey in (0, 255)]
    Image.fromarray(frames[0]).save(tmp_path / "a.tif", save_all=True, append_images=[Image.fromarray(frames[1])])

    (event,) = run_jobs(restorer, plan_jobs([str(tmp_path / "a.tif")], tmp_path / "o", samples=2, uncertainty=True))

    assert event.outcome == "failed" and "--uncertainty is for still photos" in event.error


def test_another_seed_takes_no_copy_of_the_network(restorer: Restorer) -> None:
    assert restorer.with_seed(8).engine.network is restorer.engine.network


def test_a_network_that_draws_nothing_has_one_result(restorer: Restorer) -> None:
    restorer.engine.seed_meaning = ""

    with pytest.raises(UsageError, match="draws nothing at random, so all samples would be equal"):
        seeds_of(restorer, 2)
