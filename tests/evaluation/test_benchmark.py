"""Measuring a contestant on a benchmark: what is kept, what is measured anew."""

import json
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch

from diffir.errors import ImageError
from diffir.evaluation import GaussianNoise, Holes, NoReference
from diffir.evaluation.benchmark import measure
from diffir.metrics.protocol import Protocol
from diffir.metrics.table import LoadedMetrics

from .conftest import MakeBenchmark, Worker

PSNR = LoadedMetrics.prepare(["psnr"])


def test_a_second_call_measures_nothing_and_says_the_same(make_benchmark: MakeBenchmark, tmp_path: Path) -> None:
    worker = Worker()

    first, second = (measure(make_benchmark(), worker.contestant(), PSNR, cache=tmp_path / "kept") for _ in range(2))

    assert worker.seen == ["a", "b", "c"]
    assert first == second


def test_a_stopped_call_goes_on_where_it_was(make_benchmark: MakeBenchmark, tmp_path: Path) -> None:
    class Stopped(Worker):
        def restore(self, sample):
            if sample.name == "b":
                raise KeyboardInterrupt
            return super().restore(sample)

    with pytest.raises(KeyboardInterrupt):
        measure(make_benchmark(), Stopped().contestant(), PSNR, cache=tmp_path / "kept")
    worker = Worker()
    result = measure(make_benchmark(), worker.contestant(), PSNR, cache=tmp_path / "kept")

    assert worker.seen == ["b", "c"]
    assert len(result.images) == 3


def test_a_line_that_was_torn_is_measured_again(make_benchmark: MakeBenchmark, tmp_path: Path) -> None:
    measure(make_benchmark(), Worker().contestant(), PSNR, cache=tmp_path / "kept")
    (kept,) = (tmp_path / "kept").iterdir()
    kept.write_bytes(kept.read_bytes()[:-40])
    worker = Worker()

    for _ in range(2):
        measure(make_benchmark(), worker.contestant(), PSNR, cache=tmp_path / "kept")

    assert worker.seen == ["c"]


@pytest.mark.parametrize(
    "line", [b"12\n", b"\xff\xfe\n", b'{"image": "a"}\n', b'{"image": "a", "scored": {"no": 1}}\n']
)
def test_lines_that_are_none_of_ours_are_passed_over(
    make_benchmark: MakeBenchmark, tmp_path: Path, line: bytes
) -> None:
    measure(make_benchmark(), Worker().contestant(), PSNR, cache=tmp_path / "kept")
    (kept,) = (tmp_path / "kept").iterdir()
    kept.write_bytes(line + kept.read_bytes())
    worker = Worker()

    measure(make_benchmark(), worker.contestant(), PSNR, cache=tmp_path / "kept")

    assert worker.seen == []


@pytest.mark.parametrize("field", [{"scores": {"psnr": "high"}}, {"width": None}, {"name": "x\x1b[2J"}])
def test_a_changed_line_spoils_neither_the_result_nor_its_names(
    make_benchmark: MakeBenchmark, tmp_path: Path, field: dict
) -> None:
    whole = measure(make_benchmark(), Worker().contestant(), PSNR, cache=tmp_path / "kept")
    (path,) = (tmp_path / "kept").iterdir()
    lines = [json.loads(line) for line in path.read_text("utf-8").splitlines() if line]
    path.write_text("\n".join(json.dumps({**line, "scored": {**line["scored"], **field}}) for line in lines), "utf-8")

    again = measure(make_benchmark(), Worker().contestant(), PSNR, cache=tmp_path / "kept")

    assert [image.name for image in again.images] == [image.name for image in whole.images]
    assert again.scores == whole.scores


@pytest.mark.parametrize(
    "change", ["settings", "degradation", "photo", "metric", "protocol", "rounding", "metric file"]
)
def test_whatever_a_score_depends_on_is_measured_anew_when_it_changes(
    make_benchmark: MakeBenchmark, photos: Path, tmp_path: Path, change: str
) -> None:
    measure(make_benchmark(), Worker().contestant(sha256="one"), PSNR, cache=tmp_path / "kept")
    if change == "photo":
        cv2.imwrite(str(photos / "b.png"), np.zeros((72, 80, 3), np.uint8))
    worker, meter = Worker(), LoadedMetrics.prepare(["psnr", "ssim"] if change == "metric" else ["psnr"])
    meter.sha256 |= {"alexnet": "another"} if change == "metric file" else {}
    degradation, protocol = GaussianNoise(50 if change == "degradation" else 25), Protocol(int(change == "protocol"))
    contestant = worker.contestant(sha256="two" if change == "settings" else "one")

    contestant = replace(contestant, round_output=change != "rounding")
    measure(make_benchmark(degradation, protocol=protocol), contestant, meter, cache=tmp_path / "kept")

    assert worker.seen == (["b"] if change == "photo" else ["a", "b", "c"])


@pytest.mark.parametrize("change", ["another mask", "a mask more"])
def test_other_masks_in_the_same_folder_are_another_degradation(
    make_benchmark: MakeBenchmark, tmp_path: Path, change: str
) -> None:
    hole = np.zeros((72, 80), np.uint8)
    hole[:9] = 255
    (tmp_path / "masks").mkdir()
    cv2.imwrite(str(tmp_path / "masks/0.png"), hole)
    measure(make_benchmark(Holes(str(tmp_path / "masks"))), Worker().contestant(), PSNR, cache=tmp_path / "kept")
    cv2.imwrite(str(tmp_path / f"masks/{int(change == 'a mask more')}.png"), hole[::-1])
    worker = Worker()

    measure(make_benchmark(Holes(str(tmp_path / "masks"))), worker.contestant(), PSNR, cache=tmp_path / "kept")

    assert worker.seen == ["a", "b", "c"]


def test_seconds_of_another_number_of_threads_are_not_shown(make_benchmark: MakeBenchmark, tmp_path: Path) -> None:
    measure(make_benchmark(), Worker().contestant(), PSNR, cache=tmp_path / "kept")
    before = torch.get_num_threads()
    torch.set_num_threads(before + 1)
    try:
        result = measure(make_benchmark(), Worker().contestant(), PSNR, cache=tmp_path / "kept")
    finally:
        torch.set_num_threads(before)

    assert result.seconds is None and result.peak_memory_mb is None


def test_files_that_cannot_be_measured_are_all_named_before_the_first(
    make_benchmark: MakeBenchmark, photos: Path
) -> None:
    cv2.imwrite(str(photos / "b.png"), np.zeros((72, 80, 3), np.uint16))
    (photos / "c.png").write_bytes((photos / "c.png").read_bytes()[:200])

    with pytest.raises(ImageError, match=r"b\.png: benchmarks are 8-bit.*c\.png"):
        make_benchmark().refuse_unreadable()


def test_a_limit_shares_what_is_kept_with_the_whole_set(make_benchmark: MakeBenchmark, tmp_path: Path) -> None:
    measure(make_benchmark(limit=2), Worker().contestant(), PSNR, cache=tmp_path / "kept")
    worker = Worker()

    measure(make_benchmark(), worker.contestant(), PSNR, cache=tmp_path / "kept")

    assert worker.seen == ["c"]


def test_without_a_cache_nothing_is_kept(make_benchmark: MakeBenchmark, tmp_path: Path) -> None:
    worker = Worker()

    for _ in range(2):
        measure(make_benchmark(), worker.contestant(), PSNR)

    assert worker.seen == ["a", "b", "c"] * 2


def test_what_looks_at_the_whole_set_first_is_kept_for_that_set_alone(
    make_benchmark: MakeBenchmark, tmp_path: Path
) -> None:
    worker, looked = Worker(), []
    contestant = replace(worker.contestant(), prepare=lambda samples: looked.append([s.name for s in samples]))

    measure(make_benchmark(limit=2), contestant, PSNR, cache=tmp_path / "kept")
    measure(make_benchmark(), contestant, PSNR, cache=tmp_path / "kept")
    measure(make_benchmark(), contestant, PSNR, cache=tmp_path / "kept")

    assert looked == [["a", "b"], ["a", "b", "c"]]
    assert worker.seen == ["a", "b", "a", "b", "c"]


def test_photos_without_reference_are_judged_alone(make_benchmark: MakeBenchmark) -> None:
    (sample, *_) = make_benchmark(NoReference()).samples()

    assert sample.gt is None
