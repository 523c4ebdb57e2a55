"""The plan: every photo has a result of its own, whatever suffixes photos and results have."""

import pytest

from diffir.errors import DiffIRError
from diffir.fleet.run import Fleet, _workers, plan
from diffir.fleet.stores import StoredPhoto
from diffir.fleet.worker import target_of


def planned(*names: str, ext: str = "auto") -> dict[str, dict]:
    return {row["below"]: row for row in plan([StoredPhoto(name, 1) for name in names], ext)}


def test_results_keep_folders_and_formats() -> None:
    rows = planned("a.png", "x/b.JPG", "x/c.heic")

    assert [row["target"] for row in rows.values()] == ["a.png", "x/b.JPG", "x/c.png"]


def test_a_result_whose_format_must_change_takes_a_name_that_no_photo_has() -> None:
    rows = planned("a.jpg", "a.png", "a.jpg.png", "b.jpg")

    assert target_of(rows["a.jpg"], ".jpg") == "a.jpg"
    assert target_of(rows["a.jpg"], ".png") == "a.jpg_.png"
    assert target_of(rows["b.jpg"], ".png") == "b.jpg.png"


@pytest.mark.parametrize(
    ("fleet", "there", "expected"),
    [
        (Fleet(None), {"CPU": 4}, 4),
        (Fleet(None, cpus=2), {"CPU": 5}, 2),
        (Fleet(3), {"CPU": 4}, 3),
        (Fleet(None, cpus=1, gpus=0.5), {"CPU": 16, "GPU": 2}, 4),
    ],
)
def test_as_many_workers_as_fit_or_as_were_asked_for(fleet: Fleet, there: dict, expected: int) -> None:
    assert _workers(fleet, there) == expected


def test_a_cluster_without_the_resources_is_refused_before_anything_waits_for_them() -> None:
    with pytest.raises(DiffIRError, match="a worker needs 1 CPU and 1 GPU, and there are 8 CPU, 0 GPU, so 0 fit"):
        _workers(Fleet(None, cpus=1, gpus=1), {"CPU": 8})
