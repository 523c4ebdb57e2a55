"""The JSON of an evaluation: strict, complete, and the same after it was read and written again."""

import json
import math
from dataclasses import replace
from pathlib import Path

import pytest

from diffir.errors import UsageError
from diffir.evaluation import GaussianNoise, ImageScores
from diffir.evaluation.benchmark import measure
from diffir.evaluation.document import (
    FORMAT,
    Result,
    document_from_json,
    document_of,
    document_to_json,
    read_document,
    result_of,
    result_to_json,
)
from diffir.evaluation.scoring import FEWEST_FOR_AN_INTERVAL, summarise
from diffir.metrics.protocol import Protocol
from diffir.metrics.table import LoadedMetrics

from .conftest import MakeBenchmark, Worker

KEYS = [
    *("method", "kind", "summary", "network", "parameters", "multiply_adds", "dataset", "count", "of", "data_sha256"),
    *("condition", "degradation", "protocol", "scores", "skipped", "unscored", "metric_files", "seconds"),
    *("peak_memory_mb", "images"),
]
IMAGE_KEYS = ["name", "scores", "seconds", "width", "height", "peak_memory_mb", "threads"]
SHIPPED = sorted((Path(__file__).resolve().parents[2] / "docs/benchmarks").glob("*.json"))


@pytest.fixture
def result(make_benchmark: MakeBenchmark) -> Result:
    benchmark, contestant = make_benchmark(GaussianNoise(0)), Worker().contestant()
    return result_of(
        benchmark, contestant, measure(benchmark, contestant, LoadedMetrics.prepare(["psnr", "ssim", "lpips_vgg"]))
    )


def test_a_result_has_its_keys_in_their_order(result: Result) -> None:
    plain = result_to_json(result)

    assert list(plain) == KEYS
    assert list(plain["images"][0]) == IMAGE_KEYS
    assert list(plain["protocol"]) == ["crop_border", "test_y_channel", "convention", "round_output", "line"]
    assert (plain["method"], plain["condition"], plain["count"], plain["of"]) == ("worker", "sigma 0", 3, 3)


def test_what_is_not_finite_is_a_string_so_that_json_stays_strict(result: Result) -> None:
    read = json.loads(json.dumps(document_to_json(document_of([result])), allow_nan=False))

    assert read["format"] == FORMAT
    assert read["results"][0]["scores"]["psnr"]["mean"] == "inf"
    assert [image["scores"]["psnr"] for image in read["results"][0]["images"]] == ["inf"] * 3


def test_numbers_that_are_not_finite_come_back_as_numbers(result: Result) -> None:
    images = [ImageScores(str(number), {"psnr": number}) for number in (math.inf, -math.inf, math.nan)]
    odd = replace(result, evaluation=replace(result.evaluation, images=tuple(images)))

    (read,) = document_from_json(json.loads(json.dumps(document_to_json(document_of([odd]))))).results

    scores = [image.scores["psnr"] for image in read.evaluation.images]
    assert scores[:2] == [math.inf, -math.inf]
    assert math.isnan(scores[2])


def test_a_document_that_was_read_is_the_one_that_was_written(result: Result) -> None:
    spread = {"noises": 3, "psnr": 0.25, "pixel": 0.5, "prior": math.inf}
    document = document_of([result, replace(result, prior_spread=spread)])

    assert document_from_json(json.loads(json.dumps(document_to_json(document)))) == document


@pytest.mark.parametrize("path", SHIPPED, ids=lambda path: path.stem)
def test_files_that_ship_are_written_as_they_were_read(path: Path) -> None:
    plain = json.loads(path.read_text("utf-8"))
    for result in plain["results"]:  # keys that the oldest of these files do not have yet
        for key in ("unscored", "metric_files"):
            result.setdefault(key, {})
        for image in result["images"]:
            image.setdefault("threads", None)

    assert document_to_json(read_document(path)) == plain


@pytest.mark.parametrize("broken", [{}, {"format": "diffir evaluation 2"}])
def test_another_file_is_refused_in_one_line(broken: dict) -> None:
    with pytest.raises(UsageError, match=r"not an evaluation: .*diffir eval --json"):
        document_from_json(broken)


def test_a_result_with_a_field_missing_is_refused(result: Result) -> None:
    plain = document_to_json(document_of([result]))
    del plain["results"][0]["method"]

    with pytest.raises(UsageError, match=r"broken result .*'method'"):
        document_from_json(plain)


def test_a_mean_stands_inside_its_interval_where_images_are_enough() -> None:
    images = [ImageScores(str(number), {"psnr": 20.0 + number}) for number in range(FEWEST_FOR_AN_INTERVAL)]

    many, few = (summarise(some, Protocol(), round_output=True).scores["psnr"] for some in (images, images[1:]))

    assert many.low < many.value < many.high
    assert (few.low, few.high) == (None, None)


def test_a_metric_that_could_not_be_taken_says_where_its_weights_belong(result: Result) -> None:
    assert list(result.evaluation.scores) == ["psnr", "ssim"]
    reason = result.evaluation.skipped["lpips_vgg"]
    assert "vgg16" in reason and "https://" in reason


@pytest.mark.parametrize(
    "content",
    [
        b"\xa4",
        b"[" * 100_000,
        b"[]",
        b'{"format": "diffir evaluation 1", "results": [], "versions": 3}',
    ],
)
def test_a_file_that_is_no_document_is_refused_by_name(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "scores.json"
    path.write_bytes(content)

    with pytest.raises(UsageError, match=r"scores\.json"):
        read_document(path)


@pytest.mark.parametrize(
    ("key", "value"),
    [
        *(("method", True), ("dataset", None), ("count", "many"), ("network", "x"), ("degradation", [1])),
        *(("skipped", {"niqe": 1}), ("unscored", {"psnr": "name"}), ("images", [{}]), ("seconds", [])),
        *(("scores", {"psnr": {"mean": {}, "low": None, "high": None}}), ("parameters", 10**400)),
    ],
)
def test_a_value_of_another_type_is_refused_where_it_is_read(result: Result, key: str, value: object) -> None:
    plain = document_to_json(document_of([result]))
    plain["results"][0][key] = value

    with pytest.raises(UsageError, match="broken result"):
        document_from_json(plain)


def test_the_protocol_line_says_every_convention(result: Result) -> None:
    for words in ("photos, mean over 3 of 3 images", "sigma 0/255", "rounded to 8 bit", "RGB, crop_border 0", "SSIM"):
        assert words in result.protocol_line
