"""Results as a document: strict JSON with every convention."""

import json

import pytest

from diffir.evaluation import Evaluation, GaussianNoise, ImageScores
from diffir.evaluation.benchmark import measure
from diffir.evaluation.document import FEWEST, FORMAT, document, result_of, scores_of
from diffir.metrics.protocol import Protocol
from diffir.metrics.table import Meter

from .conftest import MakeBenchmark, Worker

EXPECTED = [
    *("method", "kind", "summary", "network", "parameters", "multiply_adds", "dataset", "count", "of", "data_sha256"),
    *(
        "condition",
        "degradation",
        "protocol",
        "scores",
        "skipped",
        "unscored",
        "metric_files",
        "seconds",
        "peak_memory_mb",
        "images",
    ),
]


@pytest.fixture
def result(make_benchmark: MakeBenchmark) -> dict:
    benchmark, contestant = make_benchmark(GaussianNoise(0)), Worker().contestant()
    return result_of(
        benchmark, contestant, measure(benchmark, contestant, Meter.prepare(["psnr", "ssim", "lpips_vgg"]))
    )


def test_a_result_has_all_its_parts(result: dict) -> None:
    assert list(result) == EXPECTED
    assert (result["method"], result["condition"], result["count"], result["of"]) == ("worker", "sigma 0", 3, 3)


def test_what_is_not_finite_is_a_string_so_that_json_stays_strict(result: dict) -> None:
    read = json.loads(json.dumps(document([result]), allow_nan=False))

    assert read["format"] == FORMAT
    assert read["results"][0]["scores"]["psnr"]["mean"] == "inf"
    assert [image["scores"]["psnr"] for image in read["results"][0]["images"]] == ["inf"] * 3


def test_a_mean_stands_inside_its_interval_where_images_are_enough() -> None:
    images = tuple(ImageScores(str(number), {"psnr": 20.0 + number}) for number in range(FEWEST))

    many, few = (scores_of(Evaluation(some, Protocol(), True), "")["scores"]["psnr"] for some in (images, images[1:]))

    assert many["low"] < many["mean"] < many["high"]
    assert (few["low"], few["high"]) == (None, None)


def test_a_metric_that_could_not_be_taken_says_where_its_weights_belong(result: dict) -> None:
    assert list(result["scores"]) == ["psnr", "ssim"]
    assert "vgg16" in result["skipped"]["lpips_vgg"] and "https://" in result["skipped"]["lpips_vgg"]


def test_the_protocol_line_says_every_convention(result: dict) -> None:
    line = result["protocol"]["line"]

    for word in (
        "photos, mean over 3 of 3 images",
        "sigma 0/255",
        "rounded to 8 bit",
        "RGB, crop_border 0",
        "SSIM 11x11",
    ):
        assert word in line
