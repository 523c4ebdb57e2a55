"""A dry run says what a run would do, and writes nothing."""

from pathlib import Path

import numpy as np
import pytest

from diffir.batch.batch import run_jobs
from diffir.batch.dry_run import dry_run
from diffir.batch.events import Settings
from diffir.batch.jobs import plan_jobs
from diffir.image_io import Animation, Pages, Photo, write_image

PIXELS = np.random.default_rng(0).integers(0, 256, (20, 30, 3), dtype=np.uint8)
ALPHA = PIXELS[:, :, 0]
TWICE = {"unshuffle": 1, "upsample": 2, "global_skip": "nearest"}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    write_image(tmp_path / "in/a.png", Photo(PIXELS, ALPHA, xmp=b"<x/>"))
    write_image(tmp_path / "in/b.gif", Animation((Photo(PIXELS), Photo(PIXELS[::-1])), (20.0, 20.0)))
    write_image(tmp_path / "in/c.tif", Pages((Photo(PIXELS), Photo(PIXELS[:9]))))
    (tmp_path / "in/d.jpg").write_bytes(b"no image")
    write_image(tmp_path / "in/e.png", PIXELS)
    write_image(tmp_path / "out/e.png", PIXELS)
    return tmp_path


def planned(folder: Path, **options: str) -> list:
    return plan_jobs([str(folder / "in")], folder / "out", skip_existing=True, **options)


@pytest.mark.parametrize("options", [{}, {"ext": "jpg"}])
@pytest.mark.parametrize("settings", [Settings(skip_existing=True), Settings(skip_existing=True, outscale=0.7)])
def test_it_says_what_the_run_then_does(make_restorer, folder, options, settings) -> None:
    restorer, jobs = make_restorer(TWICE), planned(folder, **options)

    said = list(dry_run(restorer, jobs, settings))
    assert sorted(path.name for path in (folder / "out").iterdir()) == ["e.png"]
    done = list(run_jobs(restorer, jobs, settings))

    for before, after in zip(said, done, strict=True):
        if (before.outcome, after.outcome) == ("planned", "done"):
            assert (before.target, before.size, before.losses) == (after.target, after.size, after.losses)
            assert before.pixels == after.pixels
            assert before.seconds > 0
        else:  # in the format jpg, animations and pages fail
            assert (before.outcome, before.error) == (after.outcome, after.error)


def test_a_mask_of_another_size_is_found(make_restorer, tmp_path) -> None:
    write_image(tmp_path / "a.png", PIXELS)
    write_image(tmp_path / "mask.png", ALPHA[:9])
    jobs = plan_jobs([str(tmp_path / "a.png")], tmp_path / "out", mask=tmp_path / "mask.png")

    (event,) = dry_run(make_restorer({"in_channels": 4}), jobs, Settings())

    assert event.error.endswith("the mask is 30 x 9 but the image is 30 x 20; both must have the same size")


@pytest.mark.parametrize(("slow", "sides"), [(0.0, [128]), (60.0, [128, 128, 320, 320])])
def test_a_slow_network_is_timed_on_the_small_picture_alone(make_restorer, folder, monkeypatch, slow, sides) -> None:
    restorer, seen = make_restorer(), []
    restore = restorer.restore
    monkeypatch.setattr("diffir.batch.dry_run._SLOW", slow)
    monkeypatch.setattr(restorer, "restore", lambda image, mask: seen.append(len(image)) or restore(image, mask))

    (event,) = dry_run(restorer, plan_jobs([str(folder / "in/a.png")], folder / "new"), Settings())

    assert seen == sides
    assert event.seconds > 0
