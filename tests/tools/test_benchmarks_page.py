"""``docs/benchmarks.md`` is what its JSON files give, and speaks of every network as it ships."""

import hashlib
import json
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from diffir.errors import UsageError
from diffir.evaluation.prior_rows import NEED_TEACHER


@pytest.fixture(scope="module")
def tool(load_tool: Callable[[str], ModuleType]) -> ModuleType:
    return load_tool("benchmarks_page")


def result(method: str, psnr: float, **changes: Any) -> dict[str, Any]:
    """One entry of a document."""
    line = "cbsd68, mean over 68 of 68 images; noise of sigma 25; output rounded; RGB, crop_border 0"
    return {
        "method": method,
        "kind": "baseline",
        "summary": f"what {method} is",
        "network": None,
        "parameters": None,
        "multiply_adds": None,
        "dataset": "cbsd68",
        "count": 68,
        "of": 68,
        "data_sha256": "d",
        "condition": "sigma 25",
        "degradation": {"kind": "noise", "sigma": 25, "description": "noise of sigma 25"},
        "protocol": {"crop_border": 0, "test_y_channel": False, "convention": "basicsr", "line": line},
        "scores": {
            "psnr": {"mean": psnr, "low": psnr - 1, "high": psnr + 1},
            "ssim": {"mean": 0.91, "low": None, "high": None},
        },
        "skipped": {},
        "seconds": 0.31,
        "peak_memory_mb": 512.4,
        "images": [],
        **changes,
    }


def network(method: str, psnr: float, weights: bytes, **changes: Any) -> dict[str, Any]:
    facts = {
        "weights": f"{method}.safetensors",
        "fingerprint": hashlib.sha256(weights).hexdigest(),
        "prior": "diffusion",
    }
    counts = {"kind": "network", "network": facts, "parameters": 3_290_000, "multiply_adds": 12_345_678_901}
    return result(method, psnr, **counts | changes)


class Documents:
    """A folder like docs/, and weights that ship beside it."""

    def __init__(self, tool: ModuleType, root: Path) -> None:
        self.tool, self.docs, self.weights = tool, root / "docs", root / "pretrained"
        (self.docs / "benchmarks").mkdir(parents=True)
        self.weights.mkdir()

    def add(self, name: str, *results: dict[str, Any]) -> "Documents":
        machine = {"device": "cpu", "cores": 2, "threads": 1}
        document = {"format": "diffir evaluation 1", "versions": {"diffir": "0.9"}, "machine": machine}
        path = self.docs / "benchmarks" / f"{name}.json"
        path.write_text(json.dumps({**document, "results": results}), "utf-8")
        return self

    def ship(self, name: str, content: bytes) -> "Documents":
        (self.weights / f"{name}.safetensors").write_bytes(content)
        return self

    def page(self) -> str:
        return self.tool.write_page(self.tool.read_files(sorted((self.docs / "benchmarks").glob("*.json"))))

    def row(self, start: str) -> list[str]:
        line = next(line for line in self.page().splitlines() if line.startswith(f"| {start} |"))
        return [cell.strip() for cell in line.strip("|").split("|")]

    def complaints(self, **runs: str) -> list[str]:
        return self.tool.complaints(self.docs, self.weights, runs)

    def uncovered(self, **runs: str) -> list[str]:
        files = self.tool.read_files(sorted((self.docs / "benchmarks").glob("*.json")))
        return list(self.tool.uncovered(files, self.weights, runs))


@pytest.fixture
def documents(tool: ModuleType, tmp_path: Path) -> Documents:
    return Documents(tool, tmp_path)


def test_the_page_of_the_repository_is_what_its_files_give_and_covers_what_ships(tool: ModuleType) -> None:
    faults = tool.complaints()

    assert not faults, "\n".join(faults)


def test_a_cell_holds_the_first_metric_with_its_interval_and_the_others_beneath(documents: Documents) -> None:
    documents.add("a", result("nlm", 27.784), network("denoise", 30.95, b"x"))

    assert documents.row("nlm") == ["nlm", "27.78 (26.78 to 28.78)<br>0.9100"]
    assert documents.row("denoise")[1].startswith("**30.95** (")
    assert "| method | cbsd68<br>sigma 25<br>68 of 68 images |" in documents.page()


@pytest.mark.parametrize("prior", NEED_TEACHER)
def test_a_bound_that_sees_the_ground_truth_is_not_ranked(documents: Documents, prior: str) -> None:
    bound = network("bound", 40.0, b"y")
    bound["network"]["prior"] = prior

    documents.add("a", bound, network("denoise", 30.95, b"x"), result("nlm", 27.78))

    assert documents.row("bound")[1].startswith("40.00 (")
    assert documents.row("denoise")[1].startswith("**30.95**")


OTHER_PLACES = [
    ({"count": 2}, "2 of 68 images"),
    ({"data_sha256": "e" * 64}, "68 of 68 images<br>files `eeeeeeeeeeee`"),
    (
        {"degradation": {"kind": "noise", "sigma": 26, "description": "noise of sigma 25"}},
        "68 of 68 images<br>degradation `",
    ),
]


@pytest.mark.parametrize(("other", "head"), OTHER_PLACES)
def test_other_images_or_another_degradation_have_a_column_of_their_own(
    documents: Documents, other: dict[str, Any], head: str
) -> None:
    documents.add("a", result("nlm", 27.0), result("dct", 28.0), network("denoise", 40.0, b"x", **other))

    assert documents.row("dct")[1].startswith("**28.00**")
    assert [cell[:5] for cell in documents.row("denoise")[1:]] == ["–", "40.00"]
    assert documents.row("method")[2].startswith(f"cbsd68<br>sigma 25<br>{head}")


def test_seconds_are_called_upper_bounds(documents: Documents) -> None:
    page = " ".join(documents.add("a", result("nlm", 27.0)).page().split())

    assert "Seconds were taken on a machine that did other work at the same time, so they are upper bounds." in page


def test_published_rows_stand_apart_with_source_and_protocol(documents: Documents) -> None:
    page = documents.add("a", network("denoise", 20.0, b"x")).page()

    measured, published = page.index("| denoise |"), page.index("Published, not measured here")
    assert measured < published < page.index("| DnCNN | 31.24 |")
    assert "nor rounded. Source: figures of the SwinIR repository, https://github.com/JingyunLiang/SwinIR." in page
    assert "**31" not in page


def test_every_convention_stands_once_in_its_section(documents: Documents) -> None:
    line = "cbsd68, mean over 68 of 68 images; noise of sigma 25; scored as it is; RGB, crop_border 0"
    untouched = result("input", 20.18)
    untouched["protocol"] |= {"line": line, "round_output": False}

    page = documents.add("a", untouched, result("nlm", 27.78), network("denoise", 30.95, b"x")).page()

    assert "\nProtocol: noise of sigma 25; RGB, crop_border 0.\n\n- input: scored as it is\n" in page
    assert "- nlm, denoise: output rounded\n" in page


def test_a_small_sample_is_called_too_small(documents: Documents) -> None:
    documents.add("a", result("nlm", 27.0, count=2), result("dct", 28.0, dataset="kodak24", count=24, of=24))

    assert documents.page().count("too few images for a conclusion") == 1
    assert "cbsd68, sigma 25: n = 2: too few images for a conclusion." in documents.page()


def test_no_table_is_wider_than_seven_columns(documents: Documents) -> None:
    for sigma in range(1, 9):
        for dataset in ("cbsd68", "kodak24"):
            documents.add(f"{dataset}{sigma}", result("nlm", 27.0, dataset=dataset, condition=f"sigma {sigma}"))

    rows = [line for line in documents.page().splitlines() if line.startswith("|---")]

    assert len(rows) > 2
    assert max(row.count("---") for row in rows) <= 7


def test_costs_and_hashes_stand_in_one_table(documents: Documents) -> None:
    slow = network("denoise", 31.0, b"x", dataset="kodak24", seconds=1.5, peak_memory_mb=900.0)

    row = documents.add("a", network("denoise", 30.95, b"x")).add("b", slow).page().splitlines()[-1]

    digest = hashlib.sha256(b"x").hexdigest()[:12]
    assert row == f"| denoise | what denoise is | 3.29 | 12.3 | 0.31 to 1.5 | 900 | `{digest}` |"


def test_skipped_metrics_say_what_is_missing(documents: Documents) -> None:
    documents.add("a", result("nlm", 27.0, skipped={"lpips_alex": "alexnet.pth is not here"}))

    assert "## Not measured\n\n- lpips_alex: alexnet.pth is not here\n" in documents.page()


def test_the_degradation_of_a_set_is_named_by_what_was_published_of_it(documents: Documents) -> None:
    given = {"degradation": {"kind": "given", "description": "inputs of the set"}, "condition": "as given"}
    documents.add("a", result("input", 26.9, dataset="rain100l", **given), result("input", 20, dataset="mine", **given))

    assert "## Degraded inputs of the set: deraining\n" in documents.page()
    assert "## Degraded inputs of the set\n" in documents.page()


def test_infinity_is_shown_as_such(documents: Documents) -> None:
    scores = {"psnr": {"mean": "inf", "low": "inf", "high": "inf"}}

    assert documents.add("a", result("input", 0, scores=scores)).row("input")[1] == "∞ (∞ to ∞)"


def test_a_result_in_two_files_names_both(documents: Documents) -> None:
    documents.add("a", result("nlm", 27.0)).add("b", result("nlm", 27.1))

    with pytest.raises(UsageError, match=r"nlm on cbsd68, sigma 25, is in .*a\.json and in .*b\.json: keep one"):
        documents.page()


@pytest.mark.parametrize(("text", "why"), [("{", "Expecting property name"), ('{"format": "x"}', "not an evaluation")])
def test_a_file_that_is_no_evaluation_is_named(documents: Documents, text: str, why: str) -> None:
    (documents.docs / "benchmarks" / "a.json").write_text(text, "utf-8")

    with pytest.raises(UsageError, match=rf"a\.json: {why}"):
        documents.page()


def test_the_same_method_under_two_protocols_has_two_columns(documents: Documents) -> None:
    in_luma = {**result("nlm", 0)["protocol"], "test_y_channel": True}

    documents.add("a", result("nlm", 27.0)).add("b", result("nlm", 28.5, protocol=in_luma))

    assert [cell[:5] for cell in documents.row("nlm")[1:]] == ["27.00", "28.50"]
    assert [cell.split("<br>")[3][:3] for cell in documents.row("method")[1:]] == ["RGB", "Y o"]


def test_a_page_is_fresh_until_its_files_change(documents: Documents) -> None:
    documents.add("a", network("denoise", 30.95, b"x")).ship("denoise", b"x")
    (documents.docs / "benchmarks.md").write_text(documents.page(), "utf-8")
    fresh = documents.complaints(a="-n denoise -d cbsd68")

    documents.add("a", network("denoise", 30.96, b"x"))

    assert fresh == []
    assert documents.complaints(a="-n denoise -d cbsd68") == [
        "benchmarks.md is not what its files give: python tools/benchmarks_page.py"
    ]


def test_new_weights_must_be_measured_wherever_a_run_names_them(documents: Documents) -> None:
    documents.add("a", network("denoise", 30.95, b"new"), network("denoise", 31.0, b"new", dataset="set5"))
    documents.add("b", network("denoise", 31.0, b"old", dataset="kodak24"))
    documents.ship("denoise", b"new").ship("photo", b"p").ship("sr_x2", b"s")

    assert documents.uncovered(a="-n nlm,denoise,photo -d cbsd68,set5", b="-n denoise -d kodak24") == [
        "denoise is not measured as it ships on kodak24, sigma 25: python tools/measure_benchmarks.py b",
        "photo is not measured as it ships on cbsd68, sigma 25; set5, sigma 25: python tools/measure_benchmarks.py a",
        "sr_x2 is in no run: name it in tools/benchmark_runs.py",
    ]


IN_LUMA = {"crop_border": 0, "test_y_channel": True, "convention": "basicsr", "line": "in luma"}
ELSEWHERE: list[dict[str, Any]] = [
    {"dataset": "kodak24"},
    {"condition": "sigma 50"},
    {"protocol": IN_LUMA},
    {"count": 1},
    {"data_sha256": "e"},
]


@pytest.mark.parametrize("elsewhere", ELSEWHERE, ids=lambda change: next(iter(change)))
def test_weights_measured_elsewhere_are_not_covered(documents: Documents, elsewhere: dict[str, Any]) -> None:
    documents.add("a", network("denoise", 30.95, b"x"), network("photo", 30.0, b"p", **elsewhere))

    faults = documents.ship("photo", b"p").uncovered(a="-n photo -d cbsd68")

    assert [fault.split(", sigma 25: ")[0] for fault in faults] == ["photo is not measured as it ships on cbsd68"]


@pytest.mark.parametrize(("prior", "covers"), [("diffusion", True), (None, True), ("zero", False), ("stage1", False)])
def test_only_the_prior_that_ships_covers_a_weight(documents: Documents, prior: str | None, covers: bool) -> None:
    photo = network("photo", 30.0, b"p")
    photo["network"]["prior"] = prior

    assert (documents.add("a", photo).ship("photo", b"p").uncovered(a="-n photo -d cbsd68") == []) is covers


def test_what_a_run_and_its_file_do_not_share_is_named_with_its_command(documents: Documents) -> None:
    documents.add("noise", result("nlm", 27.0)).add("mine", result("nlm", 27.0, dataset="set5"))

    faults = documents.complaints(noise="-n dct -d cbsd68,Kodak24,gopro:test --sigma 25", jpeg="-n input -d live1")

    assert faults[:4] == [
        "noise.json lacks dct, kodak24, gopro:test: python tools/measure_benchmarks.py noise",
        "noise.json has nlm, which its run does not name: python tools/measure_benchmarks.py noise",
        "jpeg.json lacks input, live1: python tools/measure_benchmarks.py jpeg",
        "mine.json has no run: name it in tools/benchmark_runs.py, or git rm docs/benchmarks/mine.json",
    ]
