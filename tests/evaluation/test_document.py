"""Results as a document: strict JSON with every convention."""

import json

import pytest

from diffir.evaluation import GaussianNoise
from diffir.evaluation.benchmark import measure
from diffir.evaluation.document import FORMAT, document, result_of
from diffir.metrics.table import Meter

from .conftest import MakeBenchmark, Worker

EXPECTED = [
    *("method", "kind", "summary", "network", "parameters", "multiply_adds", "dataset", "count", "of", "data_sha256"),
    *("condition", "degradation", "protocol", "scores", "skipped", "seconds", "peak_memory_mb", "images"),
]


@pytest.fixture
def result(make_benchmark: MakeBenchmark) -> dict:
    benchmark, contestant = make_benchmark(GaussianNoise(0)), Worker().contestant()
    return result_of(
        benchmark, contestant, measure(benchmark, contestant, Meter.prepare(["psnr", "ssim", "lpips_vgg"]))
    )


def test_a_result_has_all_its_parts(result: dict) -> None:
    assert list(result) == EXPECTED
    assert (result["method"], result["condition"], result["count"], result["of"]) == ("worker", "sigma 0", 3, None)


def test_what_is_not_finite_is_a_string_so_that_json_stays_strict(result: dict) -> None:
    read = json.loads(json.dumps(document([result]), allow_nan=False))

    assert read["format"] == FORMAT
    assert read["results"][0]["scores"]["psnr"]["mean"] == "inf"
    assert [image["scores"]["psnr"] for image in read["results"][0]["images"]] == ["inf"] * 3


def test_a_mean_stands_inside_its_interval(make_benchmark: MakeBenchmark) -> None:
    benchmark, contestant = make_benchmark(GaussianNoise(25)), Worker().contestant()

    ssim = result_of(benchmark, contestant, measure(benchmark, contestant, Meter.prepare(["ssim"])))["scores"]["ssim"]

    assert ssim["low"] < ssim["mean"] < ssim["high"]


def test_a_metric_that_could_not_be_taken_says_where_its_weights_belong(result: dict) -> None:
    assert list(result["scores"]) == ["psnr", "ssim"]
    assert "vgg16" in result["skipped"]["lpips_vgg"] and "https://" in result["skipped"]["lpips_vgg"]


def test_the_protocol_line_says_every_convention(result: dict) -> None:
    line = result["protocol"]["line"]

    for word in ("photos, mean over 3 images", "sigma 0/255", "rounded to 8 bit", "RGB, crop_border 0", "SSIM 11x11"):
        assert word in line
